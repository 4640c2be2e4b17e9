"""The demo: a YAML template becomes an executed operation, each step shown."""

from __future__ import annotations

import time
from typing import Final

from dibop.admin import Publisher, Registry
from dibop.authoring import TemplateFile, read_template, save
from dibop.client import Client
from dibop.errors import LocalStackError
from dibop.local.home import Home
from dibop.local.parts import EXAMPLES, has_demo
from dibop.local.stack import Reporter
from dibop.sealing import complete, connection_command, load_sealing_key, sealed_for_test
from shared.contracts.commands import StartTest
from shared.contracts.names import PLATFORM
from shared.contracts.template import Template

TEMPLATE: Final = EXAMPLES / "openweathermap.yaml"
OPERATION: Final = "get_current_weather"
CONNECTION: Final = "default"
CITY: Final = "London"


async def walk_through(client: Client, home: Home, demo_url: str | None, report: Reporter) -> None:
    """From draft to an executed operation. A step that an earlier walk took is only confirmed.

    Raises the DibopError of the step that fails.
    """
    require_examples()
    if demo_url is None:
        raise LocalStackError("The demo weather API does not run in this stack. Start it again with 'dibop up --demo'.")
    file = read_template(TEMPLATE, assignments=[f"base_url={demo_url}"])
    template = file.require_valid()
    connector = await Registry(client, PLATFORM).connector(template.slug)
    version = connector.latest_version if connector else None
    step = _Steps(client, template, home.demo_key_file.read_text().strip(), report)
    if version is None:
        await step.draft(file)
        await step.connection()
        await step.test()
        await step.publish()
    else:
        report.step("draft, test, publish", f"{template.slug} {version}: done before")
        await step.connection()
    home.demo_marker.touch()
    await step.execute()


def require_examples() -> None:
    """LocalStackError where the examples are not there, as in an installed wheel."""
    if not (has_demo() and TEMPLATE.is_file()):
        raise LocalStackError(
            f"The demo needs the examples, and {TEMPLATE.parent} does not hold them: they lie in the source "
            "repository, not in the installed package. Run 'make up' in a checkout, or leave --demo out."
        )


class _Steps:
    """The steps, each of which tells its result and how long it took."""

    def __init__(self, client: Client, template: Template, api_key: str, report: Reporter) -> None:
        self._client = client
        self._template = template
        self._slug = template.slug
        self._report = report
        self._values = complete(template, {"api_key": api_key})
        self._key = load_sealing_key(client.context.seal_key_file)
        self._begin = time.monotonic()

    async def draft(self, file: TemplateFile) -> None:
        saved = await save(self._client, file, owner="platform")
        self._done("draft", f"{self._slug} revision {saved.revision}" + ("" if saved.changed else ", unchanged"))

    async def connection(self) -> None:
        registry = Registry(self._client, self._client.enterprise)
        if any(each.name == CONNECTION for each in await registry.connections(self._slug)):
            self._done("connection", f"{CONNECTION}, made before")
            return
        command = connection_command(
            self._template,
            self._values,
            self._key,
            enterprise=self._client.enterprise,
            owner=PLATFORM,
            name=CONNECTION,
            policy="^1",
        )
        made = await registry.create_connection(command)
        self._done("connection", f"{made.name} to {made.origin}, key sealed")

    async def test(self) -> None:
        credentials = sealed_for_test(self._template, self._values, self._key, owner=PLATFORM)
        report = await Publisher(self._client, PLATFORM).run_test(StartTest(slug=self._slug, credentials=credentials))
        failed = [each for each in report.steps if each.outcome == "fail"]
        if failed:
            reasons = "; ".join(f"{each.name}: {each.reason}" for each in failed)
            raise LocalStackError(f"The test of {self._slug} failed. {reasons}")
        passed = [each.name for each in report.operations if each.outcome == "pass"]
        self._done("test", f"passed: {', '.join(passed)}")

    async def publish(self) -> None:
        published = await Publisher(self._client, PLATFORM).publish(self._slug, "catalogue")
        self._done("publish", f"{self._slug} {published.version} to the {published.scope}")

    async def execute(self) -> None:
        result = (await self._client.execute(self._slug, OPERATION, q=CITY)).raise_for_status()
        weather = result.response
        temperature, sky = weather["main"]["temp"], weather["weather"][0]["description"]
        self._done("execute over NATS", f"{weather['name']}: {temperature} °C, {sky} (status {result.status_code})")

    def _done(self, name: str, result: str) -> None:
        now = time.monotonic()
        self._report.step(name, result, now - self._begin)
        self._begin = now
