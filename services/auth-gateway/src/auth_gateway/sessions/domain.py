"""The rules of sessions: the shape of a refresh token and what a presented one deserves.

A refresh token is `v1.<session>.<counter>.<mac>`. The row keeps one counter; there is no table of
tokens. The mac is made with a key of its own per session, so a token cannot be guessed from
another, and a stolen table cannot mint one (the key is sealed in the row).
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID

REUSE_GRACE = timedelta(seconds=10)
"""Tabs that woke together and answers lost on the way present an old token for this long."""
TOKEN_LENGTH_MAX = 200
COUNTER_MAX = 2**31 - 1


class InvalidRefreshToken(Exception):
    """Malformed, altered, or of a session that is not there."""


class RefreshTokenReused(Exception):
    """An old token came back: somebody else may have it, so the session has been ended."""


class SessionExpired(Exception):
    """Not used for too long, or simply too old. Log in again."""


class SessionEnded(Exception):
    """Logged out, or ended from another device."""


class SessionNotFound(Exception):
    """No such session of yours."""


class AccountSuspended(Exception):
    """An admin has suspended the account. Told only to who has its password or a token of it."""


class RefreshToken(NamedTuple):
    session_id: UUID
    counter: int
    mac: bytes


class Verdict(Enum):
    """What the presenter of a refresh token gets."""

    NEXT = auto()
    SAME = auto()
    REUSED = auto()
    INVALID = auto()


def issue_refresh_token(session_id: UUID, counter: int, key: bytes) -> str:
    mac = _encode(_mac(session_id, counter, key))
    return f"v1.{session_id.hex}.{counter}.{mac}"


def parse_refresh_token(text: str) -> RefreshToken:
    """Raises InvalidRefreshToken. Accepts exactly the spelling `issue_refresh_token` makes."""
    if len(text) > TOKEN_LENGTH_MAX or not text.isascii():
        raise InvalidRefreshToken
    parts = text.split(".")
    if len(parts) != 4 or parts[0] != "v1":
        raise InvalidRefreshToken
    _, session, counter, mac = parts
    if not counter.isdigit() or len(counter) > 10:
        raise InvalidRefreshToken
    try:
        token = RefreshToken(UUID(hex=session), int(counter), _decode(mac))
    except ValueError as error:
        raise InvalidRefreshToken from error
    if f"v1.{token.session_id.hex}.{token.counter}.{_encode(token.mac)}" != text:
        raise InvalidRefreshToken
    return token


def is_genuine(token: RefreshToken, key: bytes) -> bool:
    return hmac.compare_digest(token.mac, _mac(token.session_id, token.counter, key))


def judge(presented: int, *, counter: int, turned_at: datetime, now: datetime) -> Verdict:
    """Compare a genuine token's counter with the session's.

    One behind is the answer that got lost: its successor was never used, so it is given again.
    Further behind is a replay, unless the counter turned only moments ago.
    """
    if presented == counter:
        return Verdict.NEXT
    if presented > counter:
        return Verdict.INVALID
    if presented == counter - 1 or now - turned_at <= REUSE_GRACE:
        return Verdict.SAME
    return Verdict.REUSED


def is_expired(
    *, created_at: datetime, last_used_at: datetime, now: datetime, idle: timedelta, life: timedelta
) -> bool:
    return now >= last_used_at + idle or now >= created_at + life


def is_suspended(*, suspended_at: datetime | None, until: datetime | None, now: datetime) -> bool:
    return suspended_at is not None and (until is None or now < until)


def _mac(session_id: UUID, counter: int, key: bytes) -> bytes:
    return hmac.digest(key, f"v1.{session_id.hex}.{counter}".encode(), hashlib.sha256)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
