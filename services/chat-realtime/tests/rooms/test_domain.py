"""Who may do what in a room, as plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from chat_realtime.moderation.domain import (
    CannotModerateSelf,
    InvalidUntil,
    check_may_act,
    check_until,
)
from chat_realtime.rooms.domain import (
    Banned,
    InvalidText,
    Muted,
    NotMember,
    Rank,
    RankTooLow,
    RoleName,
    RoomLocked,
    RoomNotFound,
    Standing,
    clean_line,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def standing(role: RoleName | None = "member", **changes: object) -> Standing:
    return Standing(**{"is_private": False, "archived": False, "role": role, **changes})  # type: ignore[arg-type]


def test_a_stranger_to_a_public_room_is_told_to_join() -> None:
    standing(None).check_known(NOON)
    with pytest.raises(NotMember):
        standing(None).check_member(NOON)


def test_a_stranger_to_a_private_room_learns_nothing_of_it() -> None:
    with pytest.raises(RoomNotFound):
        standing(None, is_private=True).check_member(NOON)


def test_who_left_a_private_room_is_a_stranger_again() -> None:
    with pytest.raises(RoomNotFound):
        standing(is_private=True, has_left=True).check_member(NOON)


def test_a_ban_holds_until_its_end_and_not_a_moment_longer() -> None:
    banned = standing(banned=True, banned_until=NOON)
    with pytest.raises(Banned):
        banned.check_member(NOON - SECOND)
    banned.check_member(NOON)


def test_a_ban_without_an_end_holds() -> None:
    with pytest.raises(Banned):
        standing(banned=True).check_member(NOON + timedelta(days=10_000))


def test_a_muted_member_reads_and_does_not_speak_and_is_told_for_how_long() -> None:
    muted = standing(muted_until=NOON + 90 * SECOND)
    muted.check_member(NOON)
    with pytest.raises(Muted) as refusal:
        muted.check_may_speak(NOON)
    assert refusal.value.retry_after_seconds == 90
    muted.check_may_speak(NOON + 90 * SECOND)


def test_an_archived_room_is_read_only() -> None:
    archived = standing(archived=True)
    archived.check_member(NOON)
    with pytest.raises(RoomLocked):
        archived.check_may_speak(NOON)


@pytest.mark.parametrize(
    ("moderator", "target", "is_allowed"),
    [
        (standing("moderator"), standing("member"), True),
        (standing("moderator"), standing("moderator"), False),
        (standing("moderator"), standing("owner"), False),
        (standing("owner"), standing("moderator"), True),
        (standing("member"), standing("member"), False),
        (standing(None), standing("member"), False),
        (standing("owner", has_left=True), standing("member"), False),
        (standing(None, is_platform_admin=True), standing("owner"), True),
    ],
)
def test_one_acts_only_on_those_below(
    moderator: Standing, target: Standing, is_allowed: bool
) -> None:
    if is_allowed:
        check_may_act(moderator, target, on_self=False)
    else:
        with pytest.raises(RankTooLow):
            check_may_act(moderator, target, on_self=False)


def test_nobody_acts_on_themselves() -> None:
    with pytest.raises(CannotModerateSelf):
        check_may_act(standing("owner"), standing("owner"), on_self=True)


def test_a_mute_needs_an_end_in_the_future() -> None:
    check_until(NOON + SECOND, now=NOON, is_needed=True)
    check_until(None, now=NOON, is_needed=False)
    for until in (None, NOON, NOON - SECOND):
        with pytest.raises(InvalidUntil):
            check_until(until, now=NOON, is_needed=True)


def test_ranks_are_in_order() -> None:
    assert Rank.MEMBER < Rank.MODERATOR < Rank.OWNER < Rank.PLATFORM


@pytest.mark.parametrize("text", ["", "   ", "x" * 81, "two\nlines", "nul\x00", "\x7f", "\ud800"])
def test_a_name_is_one_storable_line(text: str) -> None:
    with pytest.raises(InvalidText):
        clean_line(text, what="The name", length_min=1, length_max=80)


def test_a_name_loses_only_the_space_around_it() -> None:
    assert clean_line("  a b  ", what="The name", length_min=1, length_max=3) == "a b"
