"""Key rings on disk: one file per ring, readable by their owner alone.

Outside production a missing set is made at first start. In production it must be there: a replica
that made its own keys would sign what the others refuse.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auth_gateway.keys.domain import KeySet, Ring, SealingKey, SigningKey

RINGS = ("access", "internal", "sealing")
T = TypeVar("T")


class KeysUnusable(Exception):
    """The key set is missing, unreadable, or open to others. The message names the file."""


def load_keys(folder: Path, *, may_make: bool) -> KeySet:
    """The key set in `folder`. Raises KeysUnusable."""
    missing = [ring for ring in RINGS if not _file(folder, ring).exists()]
    if missing and not may_make:
        raise KeysUnusable(f"no key ring {', '.join(missing)} in AUTH_KEYSET_DIR")
    if missing:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for ring in missing:
            _write_new(_file(folder, ring), msgspec.json.encode(_fresh_ring(ring)))
    return KeySet(
        access=_read(folder, "access", Ring[SigningKey]),
        internal=_read(folder, "internal", Ring[SigningKey]),
        sealing=_read(folder, "sealing", Ring[SealingKey]),
    )


def rotate_keys(folder: Path) -> KeySet:
    """Turn all three rings by one step and store them. Raises KeysUnusable.

    Running gateways keep the old set until they restart; both sets verify each other's tokens,
    because `next` was published before.
    """
    held = load_keys(folder, may_make=False)
    turned = KeySet(
        access=held.access.turned(new_signing_key()),
        internal=held.internal.turned(new_signing_key()),
        sealing=held.sealing.turned(new_sealing_key()),
    )
    for name, ring in (
        ("access", turned.access),
        ("internal", turned.internal),
        ("sealing", turned.sealing),
    ):
        _replace(_file(folder, name), msgspec.json.encode(ring))
    return turned


def new_key_set() -> KeySet:
    """A set that was never on disk."""
    return KeySet(
        access=Ring(current=new_signing_key(), next=new_signing_key()),
        internal=Ring(current=new_signing_key(), next=new_signing_key()),
        sealing=Ring(current=new_sealing_key(), next=new_sealing_key()),
    )


def new_signing_key() -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(kid=secrets.token_urlsafe(12), private_pem=pem.decode())


def new_sealing_key() -> SealingKey:
    return SealingKey(kid=secrets.token_hex(4), secret=secrets.token_bytes(32))


def _fresh_ring(name: str) -> Ring[SigningKey] | Ring[SealingKey]:
    if name == "sealing":
        return Ring(current=new_sealing_key(), next=new_sealing_key())
    return Ring(current=new_signing_key(), next=new_signing_key())


def _file(folder: Path, ring: str) -> Path:
    return folder / f"{ring}.json"


def _read(folder: Path, ring: str, kind: type[T]) -> T:
    path = _file(folder, ring)
    try:
        if path.stat().st_mode & stat.S_IRWXO:
            raise KeysUnusable(f"{path.name} must not be open to other users (chmod 600)")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise KeysUnusable(f"{path.name} cannot be read") from error


def _write_new(path: Path, content: bytes) -> None:
    """Two first starts may race: the link is made once, and both then read the same ring."""
    draft = _draft(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _replace(path: Path, content: bytes) -> None:
    _draft(path, content).replace(path)


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
