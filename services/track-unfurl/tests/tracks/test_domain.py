"""What counts as known, how long it is believed and what replaces what."""

from datetime import timedelta

import pytest
from track_unfurl.metadata.reading import Merged, Reading
from track_unfurl.tracks.domain import (
    NOTHING,
    Outcome,
    Status,
    judge,
    knows_enough,
    lifetime,
    succeeding,
)

WHOLE = Merged(title="Salt", artists=("Mira",), duration_ms=184_000, sources=(("title", "a"),))


def fresh_of(status: Status, *, provider: str = "spotify", failures: int = 0) -> timedelta:
    outcome = Outcome(status=status)
    return lifetime(outcome, provider=provider, failures=failures, jitter=0).fresh


def test_a_song_without_an_artist_is_partial_and_a_video_is_not() -> None:
    readings = [Reading(source="oembed", title="Salt")]
    assert judge(readings, kind="track", unreachable=False).status == "partial"
    assert judge(readings, kind="video", unreachable=False).status == "ok"


def test_a_found_title_outweighs_another_sources_wall_or_absence() -> None:
    readings = [
        Reading(source="page", verdict="blocked"),
        Reading(source="oembed", title="Salt", artists=("Mira",)),
        Reading(source="x", verdict="not_found"),
    ]
    assert judge(readings, kind="track", unreachable=True).status == "ok"


@pytest.mark.parametrize("verdict", ["not_found", "busy", "blocked"])
def test_without_a_title_the_verdict_is_the_status(verdict: Status) -> None:
    readings = [Reading(source="x", verdict=verdict)]  # type: ignore[arg-type]
    assert judge(readings, kind="track", unreachable=True).status == verdict


def test_a_page_that_answers_without_saying_anything_is_partial() -> None:
    readings = [Reading(source="x", verdict="unreadable")]
    assert judge(readings, kind="track", unreachable=False).status == "partial"
    assert judge(readings, kind="track", unreachable=True).status == "unreachable"


def test_a_missing_duration_is_worth_one_more_question_for_a_song_only() -> None:
    known = Merged(title="Salt", artists=("Mira",))
    assert not knows_enough(known, "track")
    assert knows_enough(known, "album")


def test_catalogues_are_believed_for_a_week_and_uploads_for_a_day() -> None:
    assert fresh_of("ok") == timedelta(days=7)
    assert fresh_of("ok", provider="soundcloud") == timedelta(days=1)
    assert fresh_of("partial") == timedelta(hours=1)
    assert fresh_of("blocked") == timedelta(minutes=10)
    assert fresh_of("refused") == timedelta(0)


def test_an_absence_is_believed_longer_each_time_up_to_a_day() -> None:
    periods = [fresh_of("not_found", failures=failures) for failures in range(10)]
    assert periods[0] == timedelta(minutes=10)
    assert periods == sorted(periods)
    assert periods[-1] == timedelta(days=1)


@pytest.mark.parametrize(("asked", "given"), [(None, 30), (0, 30), (7, 7), (999_999, 3_600)])
def test_a_busy_provider_is_left_alone_as_long_as_it_asks_within_an_hour(
    asked: int | None, given: int
) -> None:
    outcome = Outcome(status="busy", retry_after_seconds=asked)
    life = lifetime(outcome, provider="deezer", failures=0, jitter=0)
    assert life.fresh == timedelta(seconds=given)


def test_jitter_adds_at_most_a_tenth() -> None:
    outcome = Outcome(status="ok")
    whole = lifetime(outcome, provider="spotify", failures=0, jitter=1).fresh
    assert whole == timedelta(days=7) * 1.1


def test_a_poorer_answer_never_replaces_a_richer_one() -> None:
    partial = Outcome(status="partial", merged=Merged(title="Spotify"))
    assert succeeding(WHOLE, partial, kind="track") == WHOLE
    assert succeeding(WHOLE, Outcome(status="blocked"), kind="track") == WHOLE
    assert succeeding(WHOLE, Outcome(status="not_found"), kind="track") == WHOLE


def test_two_partial_answers_complete_each_other() -> None:
    known = Merged(title="Salt", sources=(("title", "a"),))
    more = Outcome(
        status="partial", merged=Merged(duration_ms=184_000, sources=(("duration_ms", "b"),))
    )
    both = succeeding(known, more, kind="track")
    assert (both.title, both.duration_ms) == ("Salt", 184_000)
    assert dict(both.sources) == {"title": "a", "duration_ms": "b"}


def test_a_whole_answer_replaces_everything() -> None:
    assert succeeding(NOTHING, Outcome(status="ok", merged=WHOLE), kind="track") == WHOLE
