"""Whom a text names; no database."""

import pytest
from chat_realtime.attention.domain import MENTIONS_MAX, find_mentions


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@nina", ["nina"]),
        ("Hey @Nina, and @o_le!", ["nina", "o_le"]),
        ("(@nina) @nina.", ["nina"]),
        ("@a-b-c @x__y", ["a-b-c"]),
        ("mail nina@example.com or a.b@nina", []),
        ("https://tunes.example/@nina", []),
        ("@@nina", []),
        ("@ab @" + "a" * 31, []),
        ("@ниnа", []),
        ("no names here", []),
    ],
)
def test_a_mention_is_a_handle_by_itself(text: str, handles: list[str]) -> None:
    assert find_mentions(text) == handles


def test_a_thousand_names_are_as_many_as_may_be_named() -> None:
    text = " ".join(f"@somebody{number}" for number in range(1_000))
    assert find_mentions(text) == [f"somebody{number}" for number in range(MENTIONS_MAX)]


def test_hostile_text_is_read_in_one_pass() -> None:
    assert find_mentions("@" * 4_000) == []
    assert find_mentions("@a-" * 1_300) == []
