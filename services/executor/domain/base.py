"""Where a connector's requests start."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.errors import DibopError
from shared.contracts.template import fill_base_url
from shared.contracts.template.address import AddressError, parse_base_url


def base_of(base_url: str, values: Mapping[str, str]) -> str:
    """`base_url` with its placeholders filled.

    Templates are checked before they are stored, so a base_url that can be read in more than one way comes from
    elsewhere: `egress-denied`, as for every address that is not clearly one that may be connected to.
    """
    try:
        parse_base_url(base_url)
    except AddressError as error:
        raise DibopError(
            "egress-denied", f"The connector's base_url names no address to connect to. {error}", outcome="not_sent"
        ) from error
    return fill_base_url(base_url, values)
