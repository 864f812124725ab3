"""The rules of bots and of their keys: `seda_<id>_<secret>`. Pure."""

import base64
import hashlib
import hmac
import re
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

PREFIX = "seda_"
SECRET_BYTES = 32
BOTS_PER_ACCOUNT_MAX = 10
KEYS_PER_BOT_MAX = 10
SCOPES = frozenset(
    {
        "artist:read",
        "message:read",
        "message:write",
        "moderation:read",
        "moderation:write",
        "realtime:connect",
        "room:read",
        "room:write",
        "track:read",
        "track:unfurl",
        "user:read",
    }
)
"""What a key may be made for. Each is the permission of routes; the rest is for people."""
_KEY = re.compile(r"seda_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")


class InvalidKey(Exception):
    """Malformed, unknown, revoked or expired: which one stays unsaid."""


class BotNotFound(Exception):
    """No such bot of yours."""


class KeyNotFound(Exception):
    """No such key of this bot."""


class TooManyBots(Exception):
    """The account has as many as it may."""


class TooManyKeys(Exception):
    """The bot has as many as it may."""


class InvalidScopes(Exception):
    """None, or one that keys are not made for."""


class InvalidExpiry(Exception):
    """The end of the key lies in the past."""


class Presented(NamedTuple):
    key_id: UUID
    secret: str


def looks_like_key(token: str) -> bool:
    return token.startswith(PREFIX)


def written(key_id: UUID, secret: bytes) -> str:
    return f"{PREFIX}{key_id.hex}_{base64.urlsafe_b64encode(secret).rstrip(b'=').decode()}"


def parse_key(text: str) -> Presented:
    """Raises InvalidKey."""
    found = _KEY.fullmatch(text)
    if found is None:
        raise InvalidKey
    return Presented(UUID(hex=found[1]), found[2])


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def is_genuine(presented: Presented, secret_hash: bytes) -> bool:
    return hmac.compare_digest(hash_of(presented.secret), secret_hash)


def check_scopes(scopes: frozenset[str]) -> None:
    """Raises InvalidScopes."""
    if not scopes or not scopes <= SCOPES:
        raise InvalidScopes


def check_expiry(expires_at: datetime | None, *, now: datetime) -> None:
    """Raises InvalidExpiry."""
    if expires_at is not None and expires_at <= now:
        raise InvalidExpiry
