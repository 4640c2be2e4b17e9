"""`dibop enterprise`: how enterprises stand with the platform, for Platform Admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from shared.contracts.commands import Enterprise

app = typer.Typer(help="See, register, suspend and resume enterprises, for Platform Admins.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The enterprise's id.", metavar="ENTERPRISE")]


@app.command("list")
def list_(
    *,
    state: Annotated[Literal["active", "suspended"] | None, typer.Option("--state", help="Only these.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the enterprises of which something was told. One that is not listed is in good standing.

    Example: `dibop enterprise list --state suspended`
    """

    async def work(client: Client) -> list[Enterprise]:
        from dibop.enterprises import Enterprises
        from shared.contracts.commands import ListEnterprises

        return await Enterprises(client).all(ListEnterprises(state=state))

    found = runner.with_client(home, work)
    if as_json:
        output.print_json([each.model_dump(mode="json") for each in found])
        return
    output.print_table(
        ["id", "name", "state", "SDK access", "registered", "changed", "reason"],
        [
            (each.id, each.name, each.state, _yes(each.sdk_access), each.registered_at, each.changed_at, each.reason)
            for each in found
        ],
        "Nothing was told of any enterprise yet.",
    )


@app.command()
def show(enterprise: Id, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show how one enterprise stands.

    Example: `dibop enterprise show acme --json`
    """

    async def work(client: Client) -> Enterprise:
        from dibop.enterprises import Enterprises
        from shared.contracts.names import require_token

        return await Enterprises(client).show(require_token(enterprise, "enterprise"))

    _print(runner.with_client(home, work), as_json=as_json)


@app.command()
def register(
    enterprise: Id,
    name: Annotated[str | None, typer.Option("--name", help="Its name, for people.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Tell that an enterprise has registered, or has another name now.

    Example: `dibop enterprise register acme --name "Acme AG"`
    """
    _change(home, enterprise, as_json=as_json, what="registered", name=name)


@app.command()
def suspend(
    enterprise: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why, for Platform Admins.")] = "",
    yes: options.Yes = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Suspend an enterprise: nothing is executed for it, and its people's commands are refused, until it is resumed.

    Example: `dibop enterprise suspend acme --reason "contract ended"`
    """
    if not yes and output.is_interactive():
        typer.confirm(f"Suspend {enterprise}? All that it executes is refused at once.", abort=True, err=True)
    _change(home, enterprise, as_json=as_json, what="suspended", reason=reason)


@app.command()
def resume(enterprise: Id, home: options.Home = None, as_json: options.Json = False) -> None:
    """Let a suspended enterprise work again.

    Example: `dibop enterprise resume acme`
    """
    _change(home, enterprise, as_json=as_json, what="resumed")


@app.command("sdk-access")
def sdk_access(
    enterprise: Id,
    access: Annotated[Literal["on", "off"], typer.Argument(help="Whether it may make connectors of its own.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Give an enterprise SDK access, or take it: without, its SDK admins are admins like others.

    Example: `dibop enterprise sdk-access acme off`
    """
    _change(home, enterprise, as_json=as_json, what="sdk_access_changed", sdk_access=access == "on")


def _change(home: str | None, enterprise: str, *, as_json: bool, **said: Any) -> None:
    async def work(client: Client) -> Enterprise:
        from dibop.enterprises import Enterprises
        from shared.contracts.commands import ChangeEnterprise
        from shared.contracts.names import require_token

        command = ChangeEnterprise(id=require_token(enterprise, "enterprise"), **said)
        return await Enterprises(client).change(command)

    _print(runner.with_client(home, work), as_json=as_json)


def _print(enterprise: Enterprise, *, as_json: bool) -> None:
    if as_json:
        output.print_json(enterprise.model_dump(mode="json"))
        return
    name = f" ({enterprise.name})" if enterprise.name else ""
    since = f" since {enterprise.changed_at}" if enterprise.changed_at else ""
    reason = f": {enterprise.reason}" if enterprise.reason else ""
    access = "with" if enterprise.sdk_access else "without"
    output.say(f"{enterprise.id}{name} is {enterprise.state}{since}{reason}; {access} SDK access")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
