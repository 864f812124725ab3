"""Codes, windows and verdicts, without a database."""

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seda_contracts.events.crawl import CLAIM_CODE
from verification.domain import (
    CODE_SYMBOLS,
    LIVE,
    MOVES,
    CheckLimitReached,
    Mark,
    PageReport,
    Place,
    ReasonRefused,
    Verdict,
    checked_reason,
    code_digest,
    draw_code,
    is_overdue,
    judge,
    status_at,
    wait_for_place,
)
from verification.targets import normal_target

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
PAGE = "https://nova.example/"
CODE = "seda-23CF-9XWV"


def look(*marks: tuple[str, Place], **facts: object) -> Verdict:
    told: dict[str, object] = {
        "url": PAGE,
        "final_url": PAGE,
        "redirect_urls": [],
        "outcome": "ok",
        "status_code": 200,
        "marks": [Mark(code=code, place=place) for code, place in marks],
    }
    report = PageReport(**(told | facts))  # type: ignore[arg-type]
    return judge(report, target=normal_target(PAGE), digest=code_digest(CODE))


def test_a_code_is_eight_symbols_nobody_confuses() -> None:
    code = draw_code(8, secrets.choice)
    prefix, first, second = code.split("-")
    assert prefix == "seda"
    assert len(first) == len(second) == 4
    assert set(first + second) <= set(CODE_SYMBOLS)
    assert not set(CODE_SYMBOLS) & set("AEIOU0O1IL")


@pytest.mark.parametrize("symbols", [8, 12, 16])
def test_a_code_of_any_allowed_length_is_one_the_crawler_finds(symbols: int) -> None:
    assert re.fullmatch(CLAIM_CODE, draw_code(symbols, secrets.choice))


def test_codes_differ_from_draw_to_draw() -> None:
    assert len({draw_code(8, secrets.choice) for _ in range(200)}) == 200


def test_a_code_is_the_same_however_it_is_typed() -> None:
    assert code_digest("SEDA-23cf-9xwv") == code_digest(CODE)
    assert code_digest("seda-23CF-9XWW") != code_digest(CODE)


@pytest.mark.parametrize("place", ["visible_text", "meta_tag", "link"])
def test_the_code_in_an_owners_place_proves_the_claim(place: Place) -> None:
    assert look((CODE, place)) == Verdict(reason="found", conclusive=True, place=place)


def test_the_best_place_counts() -> None:
    assert look((CODE, "hidden"), (CODE, "meta_tag")).place == "meta_tag"


@pytest.mark.parametrize(
    ("facts", "reason", "conclusive"),
    [
        ({"outcome": "blocked"}, "blocked", False),
        ({"outcome": "robots_denied"}, "blocked", False),
        ({"outcome": "unreachable", "status_code": None}, "unreachable", False),
        ({"outcome": "refused", "status_code": None}, "unreachable", True),
        ({"outcome": "not_found", "status_code": 404}, "not_found", True),
        ({"outcome": "too_large"}, "not_found", True),
        ({"outcome": "unsupported"}, "not_found", True),
        ({"outcome": "something_new"}, "not_found", True),
        ({"status_code": 404}, "not_found", True),
        ({"status_code": 201}, "not_found", True),
        ({"status_code": 403}, "blocked", False),
        ({"status_code": 429}, "blocked", False),
        ({"status_code": 503}, "unreachable", False),
        ({"status_code": None}, "unreachable", False),
        ({"final_url": "https://evil.example/"}, "redirected_off_origin", True),
        ({"redirect_urls": ["https://evil.example/"]}, "redirected_off_origin", True),
        ({"final_url": "https://nova.example/?q=seda-23CF-9XWV"}, "reflected", True),
        ({"final_url": "https://nova.example/?q=SEDA-23cf-9xwv"}, "reflected", True),
        ({"final_url": "https://nova.example/23cf9xwv"}, "reflected", True),
        ({"final_url": "https://nova.example/%2532%2533CF%2d9XWV"}, "reflected", True),
        ({"url": "https://nova.example/s?q=23CF+9XWV"}, "reflected", True),
        ({"redirect_urls": ["https://nova.example/23CF-9XWV"]}, "reflected", True),
    ],
)
def test_a_page_that_proves_nothing_says_why(
    facts: dict[str, object], reason: str, conclusive: bool
) -> None:
    verdict = look((CODE, "visible_text"), **facts)
    assert (verdict.reason, verdict.conclusive) == (reason, conclusive)
    assert not verdict.found


def test_hidden_text_is_the_wrong_place() -> None:
    assert look((CODE, "hidden")).reason == "wrong_place"


def test_another_claims_code_on_the_page_is_no_proof() -> None:
    assert look(("seda-2222-3333", "visible_text")).reason == "not_found"
    assert look().reason == "not_found"


@given(
    st.sampled_from(["ok", "blocked", "unreachable", "refused", "not_found"]),
    st.one_of(st.none(), st.integers(100, 599)),
    st.text(max_size=40),
    st.lists(st.tuples(st.text(max_size=20), st.sampled_from(["visible_text", "hidden"]))),
)
def test_whatever_the_crawler_says_only_our_code_proves(
    outcome: str, status_code: int | None, final_url: str, marks: list[tuple[str, Place]]
) -> None:
    verdict = look(*marks, outcome=outcome, status_code=status_code, final_url=final_url)
    assert not verdict.found


def test_a_window_with_room_asks_for_no_wait() -> None:
    assert wait_for_place([NOON, NOON], places=3, now=NOON) is None


def test_a_full_window_opens_when_its_oldest_is_a_day_old() -> None:
    times = [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    now = NOON + timedelta(hours=3)
    assert wait_for_place(times, places=3, now=now) == timedelta(hours=21)
    assert wait_for_place(times, places=3, now=NOON + DAY - timedelta(seconds=1)) == timedelta(
        seconds=1
    )
    assert wait_for_place(times, places=3, now=NOON + DAY) is None


@given(st.lists(st.integers(0, 100_000), max_size=30), st.integers(1, 5))
def test_after_the_wait_there_is_a_place(seconds: list[int], places: int) -> None:
    times = [NOON - timedelta(seconds=s) for s in seconds]
    wait = wait_for_place(times, places=places, now=NOON)
    if wait is not None:
        assert wait > timedelta(0)
        assert wait_for_place(times, places=places, now=NOON + wait) is None


def test_a_limit_says_when_to_come_back_in_whole_seconds() -> None:
    assert CheckLimitReached(timedelta(seconds=1.5)).retry_after_seconds == 2


def test_a_code_has_run_out_at_its_moment_and_not_before() -> None:
    assert is_overdue("issued", NOON, NOON)
    assert not is_overdue("issued", NOON, NOON - timedelta(microseconds=1))


def test_a_found_claim_waits_for_a_person_without_running_out() -> None:
    assert status_at("found", NOON, NOON + 100 * DAY) == "found"
    assert status_at("checking", NOON, NOON) == "expired"
    assert status_at("approved", NOON, NOON + DAY) == "approved"


def test_only_live_claims_move() -> None:
    assert {status for status, moves in MOVES.items() if moves} == LIVE
    assert all(move in MOVES for moves in MOVES.values() for move in moves)


@pytest.mark.parametrize("text", ["", "no", "  x  ", "a\u0000bc", "x" * 501])
def test_a_decision_needs_readable_words(text: str) -> None:
    with pytest.raises(ReasonRefused):
        checked_reason(text)


def test_a_reason_is_trimmed() -> None:
    assert checked_reason("  famous name, seen the papers ") == "famous name, seen the papers"
