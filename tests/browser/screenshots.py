"""Takes the pictures of docs/screenshots: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from dibop.context import Context
from tests.browser.chromium import ARGUMENTS, executable
from tests.browser.console import Console
from tests.support.stack import Stack

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
_BUILDER: Final = "/connectors/openweathermap"
SCREENS: Final = {
    "connectors": "/",
    "create": "/connectors/new",
    "overview": f"{_BUILDER}/overview",
    "auth": f"{_BUILDER}/auth",
    "operations": f"{_BUILDER}/operations/get_forecast",
    "resilience": f"{_BUILDER}/resilience",
    "test": f"{_BUILDER}/test",
    "publish": f"{_BUILDER}/publish",
    "source": f"{_BUILDER}/source",
    "versions": f"{_BUILDER}/versions",
    "connector": _BUILDER,
    "connection": "/connections/openweathermap/default",
    "calls": "/calls",
    "reviews": "/reviews",
    "audit": "/audit",
    "status": "/status",
}
ALSO_DARK: Final = ("operations", "resilience", "connectors")
ALSO_NARROW: Final = ("operations", "connectors")


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        stack = Stack(Path(home) / "stack", workers=1).up("--demo")
        try:
            browser = playwright.chromium.launch(executable_path=executable(), chromium_sandbox=False, args=ARGUMENTS)
            _take(browser, Context.load(stack.home), {name: name for name in SCREENS})
            _take(browser, Context.load(stack.home), {f"{n}-dark": n for n in ALSO_DARK}, color_scheme="dark")
            narrow = {"width": 320, "height": 800}
            _take(browser, Context.load(stack.home), {f"{n}-320px": n for n in ALSO_NARROW}, viewport=narrow)
            browser.close()
        finally:
            stack.down()
    return 0


def _take(browser: Browser, context: Context, pictures: dict[str, str], **options: Any) -> None:
    options.setdefault("viewport", {"width": 1360, "height": 860})
    url, token = context.console_url, context.token()
    assert url is not None
    assert token is not None
    console = Console(browser.new_context(base_url=url, **options), url, token)
    console.sign_in()
    for name, screen in pictures.items():
        console.open(SCREENS[screen]).page.wait_for_load_state("networkidle")
        console.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")
    console.context.close()


if __name__ == "__main__":
    sys.exit(main())
