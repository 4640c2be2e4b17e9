"""From the credential fields `client_certificate` and `client_key` to what is presented in TLS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from services.executor.transport.client_certificate import ClientCertificate
from shared.contracts.errors import DibopError
from shared.contracts.template.model import CLIENT_CERTIFICATE

MAX_PEM_BYTES: Final = 64 * 1024
MAX_CHAIN: Final = 10
"""Certificates in one chain."""

_CERTIFICATE, _KEY = CLIENT_CERTIFICATE
_PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey


def client_certificate_of(values: Mapping[str, str]) -> ClientCertificate | None:
    """What a connection with these `values` presents in TLS; None where it has neither of the two fields.

    Raises `credentials-rejected` where they cannot be used; no error holds any part of the key.
    """
    certificate, key = (values.get(name) or "" for name in CLIENT_CERTIFICATE)
    if not certificate and not key:
        return None
    for name, value in ((_CERTIFICATE, certificate), (_KEY, key)):
        if not value:
            raise _unusable(name, "is missing, and the other one of the pair is given")
        if len(value) > MAX_PEM_BYTES:
            raise _unusable(name, f"has more than {MAX_PEM_BYTES // 1024} KiB")
    chain, private = _read_chain(certificate), _read_key(key)
    leaf = chain[0]
    if _certified_key(leaf) != _public_bytes(private):
        raise _unusable(_KEY, "is not the key of the first certificate in client_certificate")
    _check_time(leaf)
    return ClientCertificate(
        chain=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        key=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        expires=leaf.not_valid_after_utc.timestamp(),
    )


def _read_chain(text: str) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(_CERTIFICATE, "is not a certificate in PEM") from None
    if len(chain) > MAX_CHAIN:
        raise _unusable(_CERTIFICATE, f"holds {len(chain)} certificates, and at most {MAX_CHAIN} make a chain")
    return chain


def _read_key(text: str) -> _PrivateKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise _unusable(_KEY, "is encrypted with a passphrase, which nobody could enter here") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(_KEY, "is not a private key in PEM") from None
    if not isinstance(key, _PrivateKey):
        raise _unusable(_KEY, "is of a kind that TLS does not use; RSA, ECDSA and EdDSA can be")
    return key


def _public_bytes(holder: x509.Certificate | _PrivateKey) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certified_key(certificate: x509.Certificate) -> bytes:
    try:
        return _public_bytes(certificate)
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(_CERTIFICATE, "holds a public key that cannot be used") from None


def _check_time(certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc <= now:
        raise _unusable(_CERTIFICATE, f"expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if certificate.not_valid_before_utc > now:
        raise _unusable(_CERTIFICATE, f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


def _unusable(field: str, why: str) -> DibopError:
    return DibopError(
        "credentials-rejected",
        f"The credential {field!r} {why}. Rotate the connection's credentials with a certificate and its key, "
        "both in PEM and the key without a passphrase.",
    )
