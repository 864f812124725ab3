"""Who may act on whom. Pure."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from seda_contracts.events.chat import ModerationKind

from chat_realtime.rooms.domain import (
    SLOW_MODE_SECONDS_MAX,
    InvalidText,
    Rank,
    RankTooLow,
    Standing,
    clean_line,
)

REASON_LENGTH_MAX = 500
UNTIL_MAX = timedelta(days=36_525)
"""A century. What lies beyond may not even be a moment in UTC (9999-12-31 west of Greenwich)."""


BULK_MESSAGES_MAX = 100

ActKind = ModerationKind | Literal["slow", "lock", "unlock"]
"""What moderators do; the last three to the room itself."""
LoggedKind = ActKind | Literal["mute_everywhere", "unmute_everywhere"]


class MutedEverywhere(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="muted_everywhere"
):
    """The notice to somebody's sockets; without `until` they may speak again."""

    user_id: UUID
    until: datetime | None


class CannotModerateSelf(Exception):
    def __str__(self) -> str:
        return "You cannot act on yourself."


class SlowModeInvalid(InvalidText):
    def __str__(self) -> str:
        return f"Slow mode takes `seconds`, from 0 to {SLOW_MODE_SECONDS_MAX}."


class NothingToDelete(InvalidText):
    def __str__(self) -> str:
        return "Name the messages to delete, or a person and since when."


class InvalidUntil(InvalidText):
    def __str__(self) -> str:
        return "`until` must be in the future, within a century, and is needed for a mute."


def check_may_act(moderator: Standing, target: Standing, *, on_self: bool) -> None:
    """A moderator acts on members, the owner on moderators too, the platform on everyone."""
    moderator.check_rank(Rank.MODERATOR)
    if on_self:
        raise CannotModerateSelf
    rank = target.rank
    if rank is not None and moderator.rank is not None and rank >= moderator.rank:
        raise RankTooLow


def check_until(until: datetime | None, *, now: datetime, is_needed: bool) -> None:
    """Raises InvalidUntil."""
    if until is None:
        if is_needed:
            raise InvalidUntil
    elif not now < until <= now + UNTIL_MAX:
        raise InvalidUntil


def check_slow_mode(seconds: int | None) -> int:
    """Raises SlowModeInvalid."""
    if seconds is None or not 0 <= seconds <= SLOW_MODE_SECONDS_MAX:
        raise SlowModeInvalid
    return seconds


def clean_reason(reason: str) -> str:
    """A moderation action without a reason is none."""
    return clean_line(reason, what="The reason", length_min=1, length_max=REASON_LENGTH_MAX)
