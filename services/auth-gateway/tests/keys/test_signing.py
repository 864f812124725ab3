"""Key rings: made once, closed to others, rotated without a gap."""

import os
import stat
from pathlib import Path

import jwt
import pytest
from auth_gateway.keys.domain import Ring
from auth_gateway.keys.files import (
    KeysUnusable,
    load_keys,
    new_key_set,
    new_sealing_key,
    rotate_keys,
)
from auth_gateway.keys.sealing import CannotUnseal, is_current, seal, unseal
from auth_gateway.keys.signing import Signer


def verified(token: str, jwks: dict[str, list[dict[str, str]]]) -> dict[str, object]:
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in jwks["keys"] if key["kid"] == kid)
    return jwt.decode(token, jwt.PyJWK(key).key, ["ES256"])


def test_a_first_start_makes_files_that_only_the_owner_can_read(tmp_path: Path) -> None:
    load_keys(tmp_path / "keys", may_make=True)
    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == ["access.json", "internal.json", "sealing.json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_second_start_reads_the_same_keys(tmp_path: Path) -> None:
    assert load_keys(tmp_path, may_make=True) == load_keys(tmp_path, may_make=False)


def test_production_never_makes_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match="AUTH_KEYSET_DIR"):
        load_keys(tmp_path, may_make=False)
    assert list(tmp_path.iterdir()) == []


def test_a_ring_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path, may_make=True)
    os.chmod(tmp_path / "access.json", 0o604)
    with pytest.raises(KeysUnusable, match=r"access\.json"):
        load_keys(tmp_path, may_make=False)


def test_a_damaged_ring_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    load_keys(tmp_path, may_make=True)
    (tmp_path / "sealing.json").write_bytes(b"{}")
    with pytest.raises(KeysUnusable, match=r"sealing\.json"):
        load_keys(tmp_path, may_make=True)


def test_tokens_outlive_one_rotation_and_not_two(tmp_path: Path) -> None:
    before = Signer(load_keys(tmp_path, may_make=True).access)
    token = before.sign("at+jwt", {"sub": "x"})
    once = Signer(rotate_keys(tmp_path).access)
    assert verified(token, once.jwks()) == {"sub": "x"}
    twice = Signer(rotate_keys(tmp_path).access)
    kids = {key["kid"] for key in twice.jwks()["keys"]}
    assert jwt.get_unverified_header(token)["kid"] not in kids


def test_the_next_key_is_published_before_it_signs(tmp_path: Path) -> None:
    before = Signer(load_keys(tmp_path, may_make=True).access)
    after = Signer(rotate_keys(tmp_path).access)
    assert verified(after.sign("at+jwt", {"sub": "x"}), before.jwks()) == {"sub": "x"}


def test_the_published_keys_hold_no_private_half() -> None:
    for key in Signer(new_key_set().access).jwks()["keys"]:
        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x", "y"}


def test_the_rings_share_no_key() -> None:
    keys = new_key_set()
    access = {key.kid for key in keys.access.all()}
    assert access.isdisjoint(key.kid for key in keys.internal.all())


def test_a_sealed_secret_opens_only_for_its_row() -> None:
    ring = Ring(current=new_sealing_key(), next=new_sealing_key())
    sealed = seal(ring, b"secret", row=b"one")
    assert unseal(ring, sealed, row=b"one") == b"secret"
    with pytest.raises(CannotUnseal):
        unseal(ring, sealed, row=b"two")


def test_a_sealed_secret_asks_to_be_sealed_anew_after_a_rotation_and_is_lost_after_two() -> None:
    ring = Ring(current=new_sealing_key(), next=new_sealing_key())
    sealed = seal(ring, b"secret", row=b"one")
    once = ring.turned(new_sealing_key())
    assert unseal(once, sealed, row=b"one") == b"secret"
    assert is_current(ring, sealed)
    assert not is_current(once, sealed)
    with pytest.raises(CannotUnseal):
        unseal(once.turned(new_sealing_key()), sealed, row=b"one")


@pytest.mark.parametrize("position", [0, 9, -1])
def test_an_altered_sealed_secret_does_not_open(position: int) -> None:
    ring = Ring(current=new_sealing_key(), next=new_sealing_key())
    sealed = bytearray(seal(ring, b"secret", row=b"one"))
    sealed[position] ^= 1
    with pytest.raises(CannotUnseal):
        unseal(ring, bytes(sealed), row=b"one")
