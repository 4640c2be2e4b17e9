"""`dibop keys`: the keys that credentials are sealed to, and their rotation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dibop.cli import options, output, runner

if TYPE_CHECKING:
    from dibop.client import Client
    from dibop.keyring import KeyFiles
    from dibop.rotation import Outcome, Rotation
    from shared.contracts.commands import KeysShown, KeyUse

T = TypeVar("T")

app = typer.Typer(help="The keys that credentials are sealed to: for operators.", no_args_is_help=True)

Ring = Annotated[
    Path | None,
    typer.Option("--ring", help="The executors' private key ring; the home's by default.", metavar="FILE"),
]
Public = Annotated[
    Path | None,
    typer.Option("--public", help="The public key that people seal to; the context's by default.", metavar="FILE"),
]
Wait = Annotated[
    float, typer.Option("--wait", help="How long executors may take to read the ring, in seconds.", metavar="SECONDS")
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget-test-credentials", help="Delete test credentials sealed to older keys; people give them anew."
    ),
]


@app.command("list")
def list_(
    *, ring: Ring = None, public: Public = None, home: options.Home = None, as_json: options.Json = False
) -> None:
    """List the keys of the ring, what is sealed to each, and which executors hold it.

    Example: `dibop keys list`
    """

    async def work(client: Client) -> tuple[list[KeyUse], KeysShown]:
        from dibop.admin import Executors, Registry
        from shared.contracts.names import PLATFORM

        return await Registry(client, PLATFORM).key_uses(), await Executors(client, PLATFORM).keys()

    uses, shown = runner.with_client(home, work)
    rows = _rows(_files(home, ring, public), uses, shown)
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        ["key", "state", "connections", "tokens", "test credentials", "executors", "retired"],
        [
            (
                row["kid"],
                row["state"],
                str(row["connections"]),
                str(row["tokens"]),
                str(row["test_credentials"]),
                f"{row['executors']} of {len(shown.workers)}",
                f"{row['retired_at']} by {row['retired_by']}" if row["retired_at"] else None,
            )
            for row in rows
        ],
        "There is no key.",
    )


@app.command()
def rotate(
    *,
    new: Annotated[
        bool, typer.Option("--new", help="Begin another rotation, even where an earlier one has left something.")
    ] = False,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave older keys in the ring until they are retired by name.")
    ] = False,
    forget_test_credentials: Forget = False,
    wait: Wait = 120.0,
    ring: Ring = None,
    public: Public = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a new sealing key, reseal everything to it, and retire the old one. Executions go on meanwhile.

    It may be interrupted anywhere: repeating it goes on from there.

    Examples: `dibop keys rotate`, `dibop keys rotate --ring ring.json --public seal.json --wait 600`
    """
    outcome = _rotating(
        home,
        (ring, public),
        wait,
        lambda rotation: rotation.run(new=new, keep_old=keep_old, forget_test_credentials=forget_test_credentials),
    )
    if as_json:
        output.print_json(_as_json(outcome))
    else:
        _tell(outcome)
    if outcome.failed or outcome.unresealed:
        runner.fail()


@app.command()
def retire(
    kid: Annotated[str, typer.Argument(help="The key's id, as `dibop keys list` shows it.", metavar="KID")],
    *,
    forget_test_credentials: Forget = False,
    wait: Wait = 120.0,
    ring: Ring = None,
    public: Public = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take an older key out of the ring, for ever. It is refused while something is sealed to it.

    Example: `dibop keys retire seal-1f2e3d4c`
    """

    async def work(rotation: Rotation) -> None:
        await rotation.retire(kid, forget_test_credentials=forget_test_credentials)

    _rotating(home, (ring, public), wait, work)
    if as_json:
        output.print_json({"kid": kid, "retired": True})
    else:
        output.say(f"retired {kid}")


def _rotating(
    home: str | None, given: tuple[Path | None, Path | None], wait: float, run: Callable[[Rotation], Awaitable[T]]
) -> T:
    files = _files(home, *given)

    async def work(client: Client) -> T:
        from dibop.admin import Executors, Registry
        from dibop.rotation import Rotation
        from shared.contracts.names import PLATFORM

        executors, registry = Executors(client, PLATFORM), Registry(client, PLATFORM)
        return await run(Rotation(files, executors, registry, _step, wait_seconds=wait))

    return runner.with_client(home, work)


def _files(home: str | None, ring: Path | None, public: Path | None) -> KeyFiles:
    """The files that are named, else the home's ring and the public key of its context."""
    from dibop.context import Context
    from dibop.keyring import KeyFiles
    from dibop.local.home import Home

    here = Home.of(home)
    return KeyFiles(ring or here.key_ring_file, public or Context.load(home).seal_key_file or here.seal_key_file)


def _step(step: str, result: str) -> None:
    output.note(f"  {step:<14} {result}")


def _rows(files: KeyFiles, uses: list[KeyUse], shown: KeysShown) -> list[dict[str, Any]]:
    """Keys of the ring in the order of their making, then those that it has no more."""
    from shared.contracts.commands import KeyUse

    ring = files.load()
    by_kid = {use.kid: use for use in uses}
    kids = [*ring.keys, *(kid for kid in by_kid if kid not in ring.keys)]
    nothing = {"connections": 0, "tokens": 0, "test_credentials": 0}
    states = {ring.active: "active", ring.next: "next"}
    return [
        {
            **by_kid.get(kid, KeyUse(kid=kid, **nothing)).model_dump(mode="json"),
            "state": states.get(kid, "retired" if kid in ring.keys else "gone"),
            "executors": sum(kid in worker.keys for worker in shown.workers),
        }
        for kid in kids
    ]


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "active": outcome.active,
        "previous": outcome.previous,
        "resealed": outcome.resealed,
        "failed": [each.model_dump(mode="json") for each in outcome.failed],
        "retired": outcome.retired,
        "left": [each.model_dump(mode="json") for each in outcome.left],
    }


def _tell(outcome: Outcome) -> None:
    output.say(f"credentials are sealed to {outcome.active}; {outcome.resealed} connections were resealed")
    if outcome.retired:
        output.say(f"retired {', '.join(outcome.retired)}")
    for failure in outcome.failed:
        output.say(f"not resealed: {failure.name} of {failure.enterprise}.{failure.connector}: {failure.why}")
    for use in outcome.left:
        output.say(
            f"still sealed to {use.kid}: {use.connections} connections, {use.tokens} tokens, "
            f"{use.test_credentials} test credentials"
        )
    if outcome.failed or outcome.unresealed:
        output.note("Rotate or delete these connections' credentials, then repeat 'dibop keys rotate'.")
    elif outcome.left:
        output.note("Test credentials expire within 8 hours; then: dibop keys retire KID")
