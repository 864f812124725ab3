"""Names and handles, without a database."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from user_artist.names import (
    NameRefused,
    paragraphs,
    salvaged_line,
    search_key,
    single_line,
)
from user_artist.users.domain import (
    HANDLE_CHARACTERS_MAX,
    HandleRefused,
    chosen_handle,
    handle_candidates,
    skeleton,
)

ADA = UUID("01900000-0000-7000-8000-000000000001")


def first(display_name: str | None) -> str:
    return next(handle_candidates(display_name, ADA))


def test_a_plain_name_becomes_its_handle() -> None:
    assert first("Ada Lovelace") == "ada-lovelace"


def test_accents_are_dropped_from_the_handle() -> None:
    assert first("Zoë Ångström") == "zoe-angstrom"


@pytest.mark.parametrize(
    "display_name",
    [
        None,
        "",
        "ab",
        "日本語",
        "аdmin",  # the first letter is Cyrillic
        "ada\u202elove",
        "ad\u200ba",
        "admin",
        "Support",
        "S e d a",
        "Adm1n",
        "m0derat0r",
        "rnoderator",
    ],
)
def test_a_name_that_makes_no_sound_handle_gets_a_neutral_one(display_name: str | None) -> None:
    assert first(display_name).startswith("listener-")


def test_candidates_are_the_same_at_every_redelivery() -> None:
    assert list(handle_candidates("Ada", ADA)) == list(handle_candidates("Ada", ADA))


@given(st.one_of(st.none(), st.text(max_size=80)), st.uuids())
def test_every_candidate_is_a_handle_its_owner_could_have_chosen(
    display_name: str | None, user_id: UUID
) -> None:
    candidates = list(handle_candidates(display_name, user_id))
    assert candidates
    for handle in candidates:
        assert chosen_handle(handle) == handle
        assert len(handle) <= HANDLE_CHARACTERS_MAX


@pytest.mark.parametrize(
    "text",
    [
        "ab",
        "a" * 31,
        "-ada",
        "ada-",
        "a--b",
        "ada love",
        "ada.love",
        "ада",
        "ada\nb",
        "ad\u200ba",
        "ad\u0131n",
        "seda",
        "seda_fm",
        "0fficial",
        "verified",
    ],
)
def test_a_handle_that_could_mislead_is_refused(text: str) -> None:
    with pytest.raises(HandleRefused):
        chosen_handle(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada-bo", "ada_bo"), ("bob0", "bobo"), ("1ris", "iris"), ("lris", "iris"), ("rnia", "mia")],
)
def test_handles_that_look_alike_share_a_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


def test_a_name_is_kept_in_its_own_script() -> None:
    assert single_line("  日本   語 ") == "日本 語"


@pytest.mark.parametrize(
    "name", ["", "   ", "\u3164", "\u200d", "a\u202eb", "a\u0000b", "a\u2066b", "a" * 51]
)
def test_a_name_that_hides_or_reorders_text_is_refused(name: str) -> None:
    with pytest.raises(NameRefused):
        single_line(name)


def test_a_name_of_exactly_fifty_characters_is_kept() -> None:
    assert single_line("é" * 50) == "é" * 50


@given(st.text(max_size=200))
def test_what_is_salvaged_of_any_text_is_a_sound_name(text: str) -> None:
    kept = salvaged_line(text)
    assert kept is None or single_line(kept) == kept


def test_a_biography_keeps_its_line_breaks() -> None:
    assert paragraphs("one\r\ntwo") == "one\ntwo"


def test_search_ignores_case_and_width_in_every_script() -> None:
    assert search_key("ＢＯＡ Straße ΣΊΣΥΦΟΣ") == search_key("boa STRASSE σίσυφος")
