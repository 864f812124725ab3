"""The rules of suspensions: who may suspend whom, and what may be said of it. Pure."""

from datetime import datetime, timedelta
from uuid import UUID

from auth_gateway.accounts.domain import Role

REASON_LENGTH_MAX = 500


class CannotSuspendSelf(Exception):
    """Somebody who locked themselves out could not undo it."""


class SuspensionForbidden(Exception):
    """An ADMIN suspends people; only a SUPER_ADMIN suspends who administers."""


UNTIL_MAX = timedelta(days=36_525)
"""A century. What lies beyond may not even be a moment in UTC (9999-12-31 west of Greenwich)."""


class InvalidReason(Exception):
    """Empty, too long, or not text: who looks later must find a reason."""


class InvalidUntil(Exception):
    """The end of a suspension lies in the past, or too far ahead to be kept in UTC."""


def check_may_suspend(actor_id: UUID, actor: Role, account_id: UUID, account: Role) -> None:
    """Raises CannotSuspendSelf or SuspensionForbidden."""
    if actor_id == account_id:
        raise CannotSuspendSelf
    if actor is Role.USER or (actor is Role.ADMIN and account is not Role.USER):
        raise SuspensionForbidden


def check_reason(text: str) -> str:
    """Raises InvalidReason."""
    reason = text.strip()
    if not 1 <= len(reason) <= REASON_LENGTH_MAX or "\0" in reason:
        raise InvalidReason
    return reason


def check_until(until: datetime | None, *, now: datetime) -> None:
    """Raises InvalidUntil."""
    if until is not None and not now < until <= now + UNTIL_MAX:
        raise InvalidUntil
