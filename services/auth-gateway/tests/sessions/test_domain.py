"""Refresh tokens: one spelling, one successor, and what a replay deserves."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from auth_gateway.sessions.domain import (
    InvalidRefreshToken,
    Verdict,
    is_expired,
    is_genuine,
    issue_refresh_token,
    judge,
    parse_refresh_token,
)
from hypothesis import given
from hypothesis import strategies as st

SESSION = UUID("0197b1b0-0000-7000-8000-000000000001")
KEY = b"k" * 32
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_issued_token_is_parsed_back_and_genuine() -> None:
    token = parse_refresh_token(issue_refresh_token(SESSION, 7, KEY))
    assert (token.session_id, token.counter) == (SESSION, 7)
    assert is_genuine(token, KEY)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_attack_020_a_token_of_another_counter_is_not_genuine(one: int, other: int) -> None:
    token = parse_refresh_token(issue_refresh_token(SESSION, one, KEY))
    assert is_genuine(token._replace(counter=other), KEY) == (one == other)


def test_attack_020_a_token_of_another_session_or_key_is_not_genuine() -> None:
    token = parse_refresh_token(issue_refresh_token(SESSION, 1, KEY))
    assert not is_genuine(token._replace(session_id=UUID(int=1)), KEY)
    assert not is_genuine(token, b"j" * 32)


@pytest.mark.parametrize("change", ["upper", "space", "newline", "padding", "v2", "cut", "zero"])
def test_only_one_spelling_of_a_token_is_accepted(change: str) -> None:
    good = issue_refresh_token(SESSION, 1, KEY)
    version, session, counter, mac = good.split(".")
    spelled = {
        "upper": f"{version}.{session.upper()}.{counter}.{mac}",
        "space": good + " ",
        "newline": good + "\n",
        "padding": good + "=",
        "v2": "v2" + good[2:],
        "cut": f"{version}.{session}.{counter}",
        "zero": f"{version}.{session}.0{counter}.{mac}",
    }[change]
    with pytest.raises(InvalidRefreshToken):
        parse_refresh_token(spelled)


@given(st.text(max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        parse_refresh_token(text)


@pytest.mark.parametrize(
    ("presented", "seconds", "expected"),
    [
        (5, 10_000, Verdict.NEXT),
        (4, 0, Verdict.SAME),
        (4, 10_000, Verdict.SAME),
        (3, 10, Verdict.SAME),
        (3, 11, Verdict.REUSED),
        (0, 11, Verdict.REUSED),
        (6, 0, Verdict.INVALID),
    ],
)
def test_what_a_presented_counter_deserves(presented: int, seconds: int, expected: Verdict) -> None:
    now = NOON + timedelta(seconds=seconds)
    assert judge(presented, counter=5, turned_at=NOON, now=now) is expected


@pytest.mark.parametrize(
    ("unused_days", "age_days", "expected"),
    [(13, 13, False), (14, 14, True), (1, 89, False), (1, 90, True)],
)
def test_attack_021_a_session_ends_when_unused_or_old(
    unused_days: int, age_days: int, expected: bool
) -> None:
    assert expected is is_expired(
        created_at=NOON - timedelta(days=age_days),
        last_used_at=NOON - timedelta(days=unused_days),
        now=NOON,
        idle=timedelta(days=14),
        life=timedelta(days=90),
    )
