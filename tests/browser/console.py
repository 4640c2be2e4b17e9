"""A page of the console in a browser, as a person uses it; whatever the browser complains of fails the test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.browser.chromium import axe_source

AXE_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SAVED: Final = "Saved"
_STATUS_OF_REFUSALS: Final = "Failed to load resource: the server responded with a status of"


class Console:
    """One browser window. `complaints` are errors of scripts, of the content policy, and requests to other hosts."""

    def __init__(self, context: BrowserContext, url: str, token: str) -> None:
        self._token = token
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.refusals_expected = False
        self.page: Page = context.new_page()
        self._watch(self.page)

    def sign_in(self) -> None:
        """A session for this window, as the sign-in page makes one."""
        assert self.context.request.post("/api/v1/session", data={"token": self._token}).ok

    def _watch(self, page: Page) -> None:
        page.set_default_timeout(15_000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._sent)

    def _heard(self, message: ConsoleMessage) -> None:
        refusal = message.text.startswith(_STATUS_OF_REFUSALS) or "net::ERR_" in message.text
        if message.type in {"error", "warning"} and not (refusal and self.refusals_expected):
            self.complaints.append(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def _sent(self, request: Request) -> None:
        host = urlsplit(request.url)
        if host.scheme in {"http", "https"} and host.netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"request to another host: {request.url}")

    def open(self, path: str) -> Console:
        """Go to a page and wait until it can be used."""
        self.page.goto(self.url + path)
        return self.ready()

    def ready(self) -> Console:
        self.page.wait_for_selector("html[data-ready]")
        return self

    @property
    def tab(self) -> Locator:
        """The Builder's tab that is shown."""
        return self.page.locator(".tab-panel:not([hidden])")

    def go(self, tab: str) -> Locator:
        """Choose a tab of the Builder."""
        self.page.get_by_role("navigation", name="Steps of the Builder").get_by_role("link", name=tab).click()
        return self.tab

    def expect_state(self, words: str) -> None:
        expect(self.page.locator(".save-state")).to_have_text(words)

    def saved(self) -> None:
        """Wait until everything is saved."""
        self.expect_state(SAVED)

    def accessible(self, include: str = "html") -> None:
        """No violation of axe's rules as the page is now."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(axe_source())
        found: dict[str, Any] = self.page.evaluate(
            "([include, tags]) => axe.run(include, {runOnly: tags, resultTypes: ['violations']})", [include, AXE_TAGS]
        )
        told = [
            f"{each['id']}: {each['help']} at {[node['html'][:160] for node in each['nodes']][:3]}"
            for each in found["violations"]
        ]
        assert not told, "\n".join(told)

    def narrow_controls(self) -> Sequence[str]:
        """Inputs and selects that are too narrow to use."""
        found: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll('input, select, textarea')]
            .filter((each) => !['checkbox', 'radio', 'file'].includes(each.type) && each.offsetParent)
            .filter((each) => each.getBoundingClientRect().width < 90)
            .map((each) => `${each.id} ${each.getBoundingClientRect().width}`)"""
        )
        return found

    def overflow(self) -> int:
        """How many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return width
