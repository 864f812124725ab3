"""Links and cursors, without a database."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from user_artist.artists.domain import (
    CursorRefused,
    LinkField,
    LinkRefused,
    SearchPosition,
    checked_link,
    contains_pattern,
    decode_cursor,
    encode_cursor,
)

SPOTIFY_ID = "4Z8W4fKeB5YxbusRsdQVPb"


@pytest.mark.parametrize(
    ("field", "text", "kept"),
    [
        (
            "spotify_url",
            f"https://open.spotify.com/intl-de/artist/{SPOTIFY_ID}?si=abc",
            f"https://open.spotify.com/artist/{SPOTIFY_ID}",
        ),
        ("soundcloud_url", "https://www.soundcloud.com/Nova-Band/", "https://soundcloud.com/nova-band"),
        ("bandcamp_url", "https://nova.bandcamp.com/music", "https://nova.bandcamp.com/"),
        ("website_url", "HTTP://Nova.Example/Über#top", "http://nova.example/%C3%9Cber"),
    ],
)  # fmt: skip
def test_one_page_has_one_spelling(field: LinkField, text: str, kept: str) -> None:
    assert checked_link(field, text) == kept
    assert checked_link(field, kept) == kept


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("spotify_url", f"http://open.spotify.com/artist/{SPOTIFY_ID}"),
        ("spotify_url", f"https://open.spotify.com.evil.example/artist/{SPOTIFY_ID}"),
        ("spotify_url", f"https://evil.example/open.spotify.com/artist/{SPOTIFY_ID}"),
        ("spotify_url", f"https://open.spotify.com/track/{SPOTIFY_ID}"),
        ("spotify_url", "https://open.spotify.com/"),
        ("spotify_url", f"https://open.spotify.com\\@evil.example/artist/{SPOTIFY_ID}"),
        ("spotify_url", f"https://user@open.spotify.com/artist/{SPOTIFY_ID}"),
        ("soundcloud_url", "https://soundcloud.com/"),
        ("soundcloud_url", "https://soundcloud.com/search"),
        ("soundcloud_url", "https://soundcloud.com/nova/track"),
        ("soundcloud_url", "https://notsoundcloud.com/nova"),
        ("bandcamp_url", "https://bandcamp.com/nova"),
        ("bandcamp_url", "https://www.bandcamp.com/"),
        ("bandcamp_url", "https://daily.bandcamp.com/"),
        ("bandcamp_url", "https://a.b.bandcamp.com/"),
        ("bandcamp_url", "https://nova.bandcamp.com/album/one"),
        ("bandcamp_url", "https://nova.bandcamp.com.evil.example/"),
        ("website_url", "javascript:alert(1)"),
        ("website_url", "data:text/html,hello"),
        ("website_url", "ftp://nova.example/"),
        ("website_url", "http://localhost/"),
        ("website_url", "http://127.0.0.1/"),
        ("website_url", "http://2130706433/"),
        ("website_url", "http://0x7f.1/"),
        ("website_url", "http://①②⑦.⓪.⓪.①/"),
        ("website_url", "http://[::1]/"),
        ("website_url", "http://169.254.169.254/latest"),
        ("website_url", "http://nova.example:8080/"),
        ("website_url", "http://metadata.google.internal/"),
        ("website_url", "http://printer.local/"),
        ("website_url", "http://nova.example./"),
        ("website_url", "https://nova.example/" + "a" * 500),
        ("website_url", "nova.example"),
    ],
)
def test_a_link_elsewhere_than_its_field_says_is_refused(field: LinkField, text: str) -> None:
    with pytest.raises(LinkRefused):
        checked_link(field, text)


@given(st.text(max_size=60), st.uuids(), st.text(max_size=20), st.booleans())
def test_a_cursor_comes_back_as_it_went(
    name_key: str, artist_id: UUID, search: str, verified_only: bool
) -> None:
    position = SearchPosition(name_key=name_key.replace("\x00", ""), artist_id=artist_id)
    cursor = encode_cursor(position, search=search, verified_only=verified_only)
    assert decode_cursor(cursor, search=search, verified_only=verified_only) == position


def test_a_cursor_of_another_search_is_refused() -> None:
    position = SearchPosition(name_key="nova", artist_id=UUID(int=1))
    cursor = encode_cursor(position, search="no", verified_only=True)
    with pytest.raises(CursorRefused):
        decode_cursor(cursor, search="no", verified_only=False)
    with pytest.raises(CursorRefused):
        decode_cursor(cursor, search="na", verified_only=True)


@given(st.text(max_size=200))
def test_a_made_up_cursor_is_refused_and_nothing_worse(cursor: str) -> None:
    with pytest.raises(CursorRefused):
        decode_cursor(cursor, search="", verified_only=True)


def test_attack_117_wildcards_in_a_search_are_only_text() -> None:
    assert contains_pattern("50%_\\") == "%50\\%\\_\\\\%"
