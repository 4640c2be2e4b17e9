"""`dibop token`: the caller's own, and others of a local stack, whose home has the key that signs them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dibop.cli import durations, options, output, runner

if TYPE_CHECKING:
    from dibop.local.home import Home
    from shared.security.principals import Role, TokenIssuer

app = typer.Typer()

_LONGEST_LIFETIME: Final = "365d"
_LONGEST_SUBJECT: Final = 256
_USUAL_LIFETIME: Final = "1h"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a token is to say in place of what the caller's own says."""

    subject: str | None = None
    enterprise: str | None = None
    roles: list[str] | None = None
    lifetime: str | None = None


@app.callback(invoke_without_command=True)
def token(
    context: typer.Context,
    *,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Sign one for this person or service; the caller by default.")
    ] = None,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", help="Sign one of this enterprise; the caller's by default.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Sign one with this role, repeatable; needed for anybody but the caller."),
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option("--lifetime", help="Sign one that counts so long: 90s, 30m, 8h, 7d; 1h by default.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Print the caller's token. With options: sign another with the local stack's key and print that.

    Elsewhere than on a local stack, tokens come from your OIDC issuer.

    Examples: `curl -H "Authorization: Bearer $(dibop token)" …`,
    `dibop token --subject ann --role viewer --lifetime 8h`, `dibop token show`
    """
    if context.invoked_subcommand is not None:
        return
    from dibop.admin import token_claims

    where, own = _present(home)
    wanted = _Wanted(subject, enterprise, role, lifetime)
    text = own if wanted == _Wanted() else _sign(where, token_claims(own), wanted)
    if not as_json:
        sys.stdout.write(text + "\n")
        return
    claims = token_claims(text)
    output.print_json(
        {
            "token": text,
            "subject": claims.get("sub"),
            "enterprise": claims.get("enterprise"),
            "roles": claims.get("roles"),
            "expires_at": _instant(claims.get("exp")),
        }
    )


@app.command()
def show(*, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show whose the present token is, what it may do, and when it expires. The token itself is not printed.

    Examples: `dibop token show`, `dibop token show --json`
    """
    from dibop.admin import token_claims

    _, text = _present(home)
    claims = token_claims(text)
    expires = claims.get("exp")
    left = _left(expires)
    if as_json:
        output.print_json(
            {"claims": claims, "expires_at": _instant(expires), "expires_in_seconds": left, "expired": _is_over(left)}
        )
        return
    output.print_table(
        ["claim", "value"],
        [(name, _shown(value)) for name, value in claims.items() if name not in {"exp", "iat", "nbf"}],
        "The token claims nothing.",
    )
    output.say(_told(expires, left))


def _told(expires: Any, left: int | None) -> str:
    if left is None:
        return "it does not say when it expires, so that no service takes it"
    if _is_over(left):
        return f"it expired {output.duration(-left)} ago, at {_instant(expires)}: get a new one"
    return f"it expires in {output.duration(left)}, at {_instant(expires)}"


def _present(home: str | None) -> tuple[Home, str]:
    """The stack's home and the caller's token; ContextError where there is none."""
    from dibop.admin import token_claims
    from dibop.context import Context
    from dibop.errors import ContextError
    from dibop.local.home import Home

    where = Home.of(home)
    text = Context.load(home).token()
    if not text:
        raise ContextError(f"{where.context_file} names no token_file. Write the path of a file with your token there.")
    if not token_claims(text):
        raise ContextError("The file that token_file names holds no JWT. Put a token of your issuer there.")
    return where, text


def _sign(where: Home, own: Mapping[str, Any], wanted: _Wanted) -> str:
    """A token like the caller's own, but for what is wanted."""
    caller = str(own.get("sub")), str(own.get("enterprise"))
    who, whose = wanted.subject or caller[0], wanted.enterprise or caller[1]
    if wanted.roles is None and (who, whose) != caller:
        runner.wrong_usage(f"say which roles {who!r} of {whose!r} is to have: --role, of {_role_names()}")
    roles = _roles(own.get("roles", []) if wanted.roles is None else wanted.roles)
    seconds = durations.seconds(wanted.lifetime or _USUAL_LIFETIME, "--lifetime", most=_LONGEST_LIFETIME)
    _require_names(who, whose)
    return _issuer(where).issue(who, whose, roles, lifetime_seconds=seconds)


def _issuer(where: Home) -> TokenIssuer:
    from dibop.errors import LocalStackError
    from shared.security.principals import TokenIssuer

    if not where.signing_key_file.exists():
        raise LocalStackError(
            f"{where.root} has no key to sign tokens with: only the home of a local stack has one. "
            "Get a token from your OIDC issuer, or name the stack's home with --home."
        )
    try:
        return TokenIssuer.load(where.signing_key_file)
    except ValueError as error:
        raise LocalStackError(f"No token can be signed: {error}.") from error


def _require_names(subject: str, enterprise: str) -> None:
    from shared.contracts.names import is_token

    if len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
        runner.wrong_usage(f"--subject must be at most {_LONGEST_SUBJECT} printable characters")
    if not is_token(enterprise):
        runner.wrong_usage(f"{enterprise[:80]!r} is no enterprise: a letter a-z, then at most 62 of a-z, 0-9, _ and -")


def _roles(names: list[str]) -> frozenset[Role]:
    from shared.security.principals import Role

    known = {role.value for role in Role}
    for name in names:
        if name not in known:
            runner.wrong_usage(f"{name!r} is no role. There are: {_role_names()}")
    return frozenset(Role(name) for name in names)


def _role_names() -> str:
    from shared.security.principals import Role

    return ", ".join(role.value for role in Role)


def _left(expires: Any) -> int | None:
    import time

    return round(expires - time.time()) if isinstance(expires, int | float) else None


def _is_over(left: int | None) -> bool:
    return left is not None and left <= 0


def _instant(seconds: Any) -> str | None:
    from datetime import UTC, datetime

    from shared.contracts.clock import spelled

    return spelled(datetime.fromtimestamp(seconds, UTC)) if isinstance(seconds, int | float) else None


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
