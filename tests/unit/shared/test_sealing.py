"""Sealing: a value opens for what it was sealed for, and for nothing else."""

import dataclasses
import stat
from pathlib import Path

import pytest

from shared.contracts.errors import DibopError
from shared.files import write_private
from shared.security.sealing import KeyRing, SealContext, SealingKey, masked_tail

CONTEXT = SealContext(
    use="connection",
    enterprise="acme",
    owner="platform",
    connector="weather",
    connection="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    origin="https://api.example.com:443",
    field="api_key",
)


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    return KeyRing.generate()


def test_a_sealed_value_opens_in_its_own_context(ring: KeyRing) -> None:
    sealed = ring.sealing_key.seal("pässword", CONTEXT)

    assert "pässword" not in sealed
    assert ring.open(sealed, CONTEXT, ring.active) == "pässword"


@pytest.mark.parametrize("part", ["use", "enterprise", "owner", "connector", "connection", "origin", "field"])
def test_a_value_does_not_open_where_one_part_differs(ring: KeyRing, part: str) -> None:
    sealed = ring.sealing_key.seal("secret-value", CONTEXT)
    elsewhere = dataclasses.replace(CONTEXT, **{part: "other"})  # type: ignore[arg-type]

    with pytest.raises(DibopError) as caught:
        ring.open(sealed, elsewhere, ring.active)

    assert caught.value.code == "credentials-rejected"
    assert "secret-value" not in str(caught.value)


@pytest.mark.parametrize("junk", ["", "AAAA", "not base64!", "A" * 400])
def test_junk_is_refused_as_a_sentence(ring: KeyRing, junk: str) -> None:
    with pytest.raises(DibopError, match="cannot be opened"):
        ring.open(junk, CONTEXT, ring.active)


def test_a_key_that_is_not_held_is_named(ring: KeyRing) -> None:
    with pytest.raises(DibopError, match="seal-gone"):
        ring.open(ring.sealing_key.seal("x", CONTEXT), CONTEXT, "seal-gone")


def test_parts_cannot_run_into_each_other(ring: KeyRing) -> None:
    one = dataclasses.replace(CONTEXT, connector="ab", connection="c")
    other = dataclasses.replace(CONTEXT, connector="a", connection="bc")

    assert one.info("k") != other.info("k")


def test_keys_survive_their_files(ring: KeyRing, tmp_path: Path) -> None:
    private, public = tmp_path / "ring.json", tmp_path / "seal.json"
    write_private(private, ring.dump())
    public.write_text(ring.sealing_key.dump())

    sealed = SealingKey.load(public).seal("value", CONTEXT)

    assert KeyRing.load(private).open(sealed, CONTEXT, ring.active) == "value"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name not in {"ring.json", "seal.json"}] == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"active":"a","keys":[{"kid":"a","private_key":"c2VjcmV0"}]}'])
def test_a_broken_key_file_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ring.json"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"ring\.json is not a key ring") as caught:
        KeyRing.load(path)
    assert "c2VjcmV0" not in str(caught.value)

    with pytest.raises(ValueError, match="not a public sealing key"):
        SealingKey.load(path)


@pytest.mark.parametrize(("value", "tail"), [("short", ""), ("elevenchars", ""), ("twelve-chars", "hars"), ("", "")])
def test_only_long_values_show_a_tail(value: str, tail: str) -> None:
    assert masked_tail(value) == tail
