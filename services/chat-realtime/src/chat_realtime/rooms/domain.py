"""Rules of rooms and membership. Pure: time and facts are passed in."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal

RoleName = Literal["owner", "moderator", "member"]
NAME_LENGTH_MAX = 80
DESCRIPTION_LENGTH_MAX = 500
SLOW_MODE_SECONDS_MAX = 21_600


class Rank(IntEnum):
    """Room roles in order; a platform administrator stands above every room."""

    MEMBER = 1
    MODERATOR = 2
    OWNER = 3
    PLATFORM = 4


class RoomNotFound(Exception):
    """No such room, or none that this person may know of."""

    def __str__(self) -> str:
        return "There is no such room."


class PersonNotFound(Exception):
    """The person is no member of the room."""

    def __str__(self) -> str:
        return "There is no such member."


class NotMember(Exception):
    def __str__(self) -> str:
        return "Join the room first."


class Banned(Exception):
    def __str__(self) -> str:
        return "You are banned from this room."


class Muted(Exception):
    """Carries how long is left, for `Retry-After` and `retry_ms`."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return "You are muted in this room."


class RoomLocked(Exception):
    def __str__(self) -> str:
        return "The room is locked or archived: it can be read and not changed."


class SlowMode(Exception):
    """Carries how long is left, for `Retry-After` and `retry_ms`."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return "The room is in slow mode."


class RankTooLow(Exception):
    def __str__(self) -> str:
        return "Your role in this room does not allow this."


class OwnerCannotLeave(Exception):
    def __str__(self) -> str:
        return "The owner cannot leave the room; archive it instead."


class InvalidText(Exception):
    """A name or a text that cannot be kept as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one person stands in one room at one moment."""

    is_private: bool
    archived: bool
    role: RoleName | None
    """None for someone who never joined."""
    has_left: bool = False
    muted_until: datetime | None = None
    """In this room or everywhere, whichever lasts longer."""
    locked: bool = False
    slow_mode_seconds: int = 0
    last_sent_at: datetime | None = None
    banned: bool = False
    banned_until: datetime | None = None
    is_platform_admin: bool = False

    @property
    def rank(self) -> Rank | None:
        if self.is_platform_admin:
            return Rank.PLATFORM
        if self.role is None or self.has_left or self.banned:
            return None
        return Rank[self.role.upper()]

    @property
    def moderates(self) -> bool:
        return self.rank is not None and self.rank >= Rank.MODERATOR

    def is_banned(self, now: datetime) -> bool:
        return self.banned and (self.banned_until is None or now < self.banned_until)

    def is_member(self, now: datetime) -> bool:
        return self.role is not None and not self.has_left and not self.is_banned(now)

    def check_known(self, now: datetime) -> None:
        """May this person know that the room is there?"""
        if self.is_private and not self.is_member(now) and not self.is_platform_admin:
            raise Banned if self.is_banned(now) else RoomNotFound

    def check_member(self, now: datetime) -> None:
        """May this person read and listen?"""
        if self.is_banned(now):
            raise Banned
        self.check_known(now)
        if not self.is_member(now):
            raise NotMember

    def check_open(self) -> None:
        if self.archived:
            raise RoomLocked

    def check_may_speak(self, now: datetime) -> None:
        """May this person send, edit and react?"""
        self.check_member(now)
        self.check_open()
        if self.locked and not self.moderates:
            raise RoomLocked
        if self.muted_until is not None and now < self.muted_until:
            raise Muted(_seconds_left(self.muted_until, now))

    def check_may_send(self, now: datetime) -> None:
        """May this person say something new?"""
        self.check_may_speak(now)
        if self.slow_mode_seconds and self.last_sent_at is not None and not self.moderates:
            free_at = self.last_sent_at + timedelta(seconds=self.slow_mode_seconds)
            if now < free_at:
                raise SlowMode(_seconds_left(free_at, now))

    def check_rank(self, least: Rank) -> None:
        if self.rank is None or self.rank < least:
            raise RankTooLow


def _seconds_left(until: datetime, now: datetime) -> int:
    return math.ceil((until - now).total_seconds())


def clean_line(text: str, *, what: str, length_max: int, length_min: int = 0) -> str:
    """One line without surrounding space or control characters. Raises InvalidText."""
    line = text.strip()
    if not length_min <= len(line) <= length_max:
        raise InvalidText(f"{what} must have {length_min} to {length_max} characters.")
    if any(ord(character) < 32 or ord(character) == 127 for character in line):
        raise InvalidText(f"{what} must not contain control characters.")
    check_encodable(line, what=what)
    return line


def check_encodable(text: str, *, what: str) -> None:
    """Refuse what UTF-8 or PostgreSQL cannot hold: lone surrogates and NUL. Raises InvalidText."""
    try:
        text.encode()
        can_be_stored = "\x00" not in text
    except UnicodeEncodeError:
        can_be_stored = False
    if not can_be_stored:
        raise InvalidText(f"{what} contains a character that cannot be stored.")
