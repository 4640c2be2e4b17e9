"""Terms: where and how a version sends credentials. Who gives them has consented to these, and to no others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from shared.contracts.template.address import AddressError, parse_address
from shared.contracts.template.digests import canonical_json
from shared.contracts.template.model import CLIENT_CERTIFICATE, Template

Terms = Mapping[str, str]
"""What is sent where, by what it is called; what does not apply is not there."""
_IN_A_FIELD: Final = "a credential field"
_NOTHING: Final = "none"


def terms_of(template: Template) -> dict[str, str]:
    """The terms of a valid template; `base_url` placeholders stand in them as they are."""
    certificate = CLIENT_CERTIFICATE[0] in template.credential_fields()
    if template.auth_type == "none" and not certificate:
        return {"authentication": template.auth_type}
    terms = {
        "host": _origin(template.base_url),
        "authentication": template.auth_type,
        "header": template.credential_header() or "",
        "client certificate": "presented" if certificate else "",
    }
    if template.auth_type == "api_key":
        terms |= {"query parameter": template.query_parameter or "", "key prefix": template.key_prefix or ""}
    if template.auth_type == "oauth2":
        terms |= {
            "grant": template.grant_type or "",
            "token endpoint": _origin(template.token_url),
            "client authentication": template.token_auth_method,
        }
        if template.grant_type == "authorization_code":
            terms["authorization endpoint"] = _origin(template.authorization_url)
    return {name: value for name, value in terms.items() if value}


def terms_digest(terms: Terms) -> str:
    """What tells terms from others; empty for those that are not known."""
    return hashlib.sha256(canonical_json(dict(terms))).hexdigest()[:16] if terms else ""


def terms_changed(before: Terms, after: Terms) -> list[str]:
    """What is different, each in words, in an order that does not vary."""
    return [
        f"{name}: {before.get(name, _NOTHING)} becomes {after.get(name, _NOTHING)}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _origin(url: str | None) -> str:
    """Scheme, host and port; oauth2's endpoints may be credential fields, which are the connection's own."""
    if not url:
        return _IN_A_FIELD
    try:
        return parse_address(url).origin
    except AddressError:
        return url
