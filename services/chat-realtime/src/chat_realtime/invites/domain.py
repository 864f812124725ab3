"""Rules of invites. Pure."""

import hashlib
from datetime import datetime, timedelta

INVITES_MAX = 50
"""Open ones of a room."""
USES_MAX = 1_000
LIFE_MAX = timedelta(days=30)
CODE_BYTES = 24
CODE_LENGTH_MAX = 64


class InviteNotFound(Exception):
    """Unknown, expired, used up, revoked or somebody else's: all the same to who asks."""

    def __str__(self) -> str:
        return "There is no such invite."


class TooManyInvites(Exception):
    def __str__(self) -> str:
        return f"A room has at most {INVITES_MAX} open invites."


class InviteLifeInvalid(Exception):
    def __str__(self) -> str:
        return f"`expires_at` must be in the future, within {LIFE_MAX.days} days."


def check_life(expires_at: datetime, *, now: datetime) -> None:
    """Raises InviteLifeInvalid."""
    if not now < expires_at <= now + LIFE_MAX:
        raise InviteLifeInvalid


def code_digest(code: str) -> bytes:
    """What is kept of a code. It is random enough (192 bits) to need no slow hash."""
    return hashlib.sha256(code.encode()).digest()
