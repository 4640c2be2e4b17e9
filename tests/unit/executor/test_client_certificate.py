"""Which certificates and keys a connection may bring, and what is said of those that cannot be used."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate

from services.executor.domain.client_certificate import MAX_PEM_BYTES, client_certificate_of
from shared.contracts.errors import DibopError

AUTHORITY = trustme.CA()
NOW = datetime.now(UTC)


def issued(
    kind: trustme.KeyType = trustme.KeyType.ECDSA, *, begins: datetime | None = None, ends: datetime | None = None
) -> tuple[str, str]:
    leaf = AUTHORITY.issue_cert("ada@example.com", key_type=kind, not_before=begins, not_after=ends)
    return leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()


CERTIFICATE, KEY = issued()


def pem(key: ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def refused(certificate: str, key: str) -> DibopError:
    with pytest.raises(DibopError) as caught:
        client_certificate_of({"client_certificate": certificate, "client_key": key})
    assert caught.value.code == "credentials-rejected"
    return caught.value


@pytest.mark.parametrize("values", [{}, {"client_certificate": "", "client_key": ""}, {"username": "ada"}])
def test_without_the_fields_there_is_none(values: dict[str, str]) -> None:
    assert client_certificate_of(values) is None


@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_a_certificate_and_its_key_make_a_pair(key_type: trustme.KeyType) -> None:
    certificate, key = issued(key_type, ends=NOW + timedelta(days=9))
    made = client_certificate_of({"client_certificate": certificate, "client_key": key})
    assert made is not None
    assert made.chain.decode() == certificate
    assert load_pem_private_key(made.key, None).public_key() == load_pem_private_key(key.encode(), None).public_key()
    assert abs(made.expires - (NOW + timedelta(days=9)).timestamp()) < 2


def test_a_chain_is_kept_in_its_order_and_what_stands_around_it_is_not() -> None:
    authority = AUTHORITY.cert_pem.bytes().decode()
    text = f"subject: ada\r\n{CERTIFICATE}issuer: us\n{authority}"
    made = client_certificate_of({"client_certificate": text, "client_key": f"\n\n{KEY}\n"})
    assert made is not None
    assert made.chain.decode() == CERTIFICATE + authority


def test_pairs_are_told_apart_by_their_fingerprints() -> None:
    pairs = [issued(), issued(), (CERTIFICATE, KEY), (CERTIFICATE, KEY)]
    made = [client_certificate_of(dict(zip(("client_certificate", "client_key"), each, strict=True))) for each in pairs]
    assert len({each.fingerprint for each in made if each}) == 3


ENCRYPTED = (
    load_pem_private_key(KEY.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    .decode()
)
OTHER_KEY = issued()[1]
EXPIRED = issued(begins=NOW - timedelta(days=9), ends=NOW - timedelta(days=1))
EARLY = issued(begins=NOW + timedelta(days=1), ends=NOW + timedelta(days=9))
UNUSABLE = {
    "no key": (CERTIFICATE, "", "'client_key' is missing"),
    "no certificate": ("", KEY, "'client_certificate' is missing"),
    "junk": ("hello", KEY, "'client_certificate' is not a certificate in PEM"),
    "surrogate": ("\udc80", KEY, "'client_certificate' is not a certificate in PEM"),
    "broken certificate": (CERTIFICATE.replace("MII", "AAA"), KEY, "'client_certificate' is not a certificate in PEM"),
    "key for certificate": (KEY, KEY, "'client_certificate' is not a certificate in PEM"),
    "junk key": (CERTIFICATE, "s3cret-junk", "'client_key' is not a private key in PEM"),
    "broken key": (CERTIFICATE, KEY.replace("M", "A"), "'client_key' is not a private key in PEM"),
    "certificate for key": (CERTIFICATE, CERTIFICATE, "'client_key' is not a private key in PEM"),
    "encrypted key": (CERTIFICATE, ENCRYPTED, "'client_key' is encrypted with a passphrase"),
    "another key": (CERTIFICATE, OTHER_KEY, "'client_key' is not the key of the first certificate"),
    "the authority first": (AUTHORITY.cert_pem.bytes().decode() + CERTIFICATE, KEY, "not the key of the first"),
    "a key for no signature": (CERTIFICATE, pem(x25519.X25519PrivateKey.generate()), "of a kind that TLS does not use"),
    "another kind of key": (CERTIFICATE, pem(ed25519.Ed25519PrivateKey.generate()), "not the key of the first"),
    "expired": (*EXPIRED, "'client_certificate' expired at 20"),
    "not yet": (*EARLY, "'client_certificate' is not valid before 20"),
    "large": (CERTIFICATE + " " * MAX_PEM_BYTES, KEY, "'client_certificate' has more than 64 KiB"),
    "large key": (CERTIFICATE, KEY + " " * MAX_PEM_BYTES, "'client_key' has more than 64 KiB"),
    "many": (CERTIFICATE * 11, KEY, "holds 11 certificates"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_named_and_never_quoted(name: str) -> None:
    certificate, key, problem = UNUSABLE[name]
    error = refused(certificate, key)
    assert problem in error.detail
    assert "Rotate the connection's credentials" in error.detail
    lines = [line for line in key.splitlines() if line and not line.startswith("-----")]
    causes = [error, error.__cause__, error.__context__ if not error.__suppress_context__ else None]
    assert not any(line in str(cause) for line in lines for cause in causes if cause is not None)


def test_a_certificate_with_a_key_that_is_none_is_refused() -> None:
    chain, key = issued()
    certificate = load_pem_x509_certificate(chain.encode())
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    off_the_curve = certificate.public_bytes(Encoding.DER).replace(public, public[:-1] + bytes([public[-1] ^ 1]))
    damaged = ssl.DER_cert_to_PEM_cert(off_the_curve)

    with pytest.raises(DibopError, match="'client_certificate' holds a public key that cannot be used") as refused:
        client_certificate_of({"client_certificate": damaged, "client_key": key})

    assert refused.value.code == "credentials-rejected"
