"""Which pages may carry a code, and when a redirect has left the owner's place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verification.targets import TargetRefused, is_listed, normal_target, stays_on

SPOTIFY_ID = "4Z8W4fKeB5YxbusRsdQVPb"


@pytest.mark.parametrize(
    ("text", "kept", "shared"),
    [
        ("https://nova.example", "https://nova.example/", False),
        ("HTTP://NOVA.example/a/../about?x=1#top", "http://nova.example/about?x=1", False),
        ("https://nova.github.io/", "https://nova.github.io/", False),
        ("https://nova.bandcamp.com/", "https://nova.bandcamp.com/", False),
        (
            f"https://open.spotify.com/intl-de/artist/{SPOTIFY_ID}?si=1",
            f"https://open.spotify.com/artist/{SPOTIFY_ID}",
            True,
        ),
        ("https://m.soundcloud.com/Nova/", "https://soundcloud.com/nova", True),
        ("https://www.youtube.com/@nova", "https://youtube.com/@nova", True),
        ("https://www.instagram.com/nova/", "https://instagram.com/nova", True),
    ],
)
def test_a_page_has_one_spelling(text: str, kept: str, shared: bool) -> None:
    target = normal_target(text)
    assert (target.url, target.shared) == (kept, shared)
    assert normal_target(target.url) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nova",
        "ftp://nova.example/",
        "javascript:alert(1)",
        "https://user:pass@nova.example/",
        "https://nova.example:8443/",
        "http://localhost/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/",
        "http://metadata.google.internal/",
        "http://nova.example./",
        "https://" + "a" * 64 + ".example/",
        "https://nova.example/" + "a" * 500,
        # roots and public suffixes: everybody's, so nobody's
        "https://github.io/",
        "https://co.uk/",
        "https://open.spotify.com/",
        "https://soundcloud.com/",
        "https://bandcamp.com/",
        "https://bandcamp.com/nova",
        "https://youtube.com/",
        # pages of the host, or of a track, are no profile
        "https://soundcloud.com/search",
        "https://soundcloud.com/discover",
        "https://soundcloud.com/nova/some-track",
        f"https://open.spotify.com/track/{SPOTIFY_ID}",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://x.com/search",
        # everybody may write there
        "https://en.wikipedia.org/wiki/Nova",
        "https://www.last.fm/music/Nova",
        "https://genius.com/artists/Nova",
    ],
)
def test_a_page_that_is_not_one_artists_own_is_refused(text: str) -> None:
    with pytest.raises(TargetRefused):
        normal_target(text)


@given(st.text(max_size=120))
def test_any_text_is_a_page_or_refused(text: str) -> None:
    try:
        target = normal_target(text)
    except TargetRefused:
        return
    assert normal_target(target.url) == target


def test_a_listed_page_is_known_in_any_spelling() -> None:
    target = normal_target("https://www.soundcloud.com/NOVA/?utm_source=x")
    assert is_listed(target, ["https://nova.example/", "https://soundcloud.com/nova"])
    assert not is_listed(target, ["https://soundcloud.com/nova-two", "not a link"])


@pytest.mark.parametrize(
    ("page", "reached", "stays"),
    [
        ("https://nova.example/", "https://nova.example/home", True),
        ("http://nova.example/", "https://nova.example/", True),
        ("https://nova.example/", "http://nova.example/", False),
        ("https://nova.example/", "https://www.nova.example/", False),
        ("https://nova.example/", "https://nova.example.evil.example/", False),
        ("https://nova.example/", "https://nova.example:8443/", False),
        ("https://nova.example/", "https://user@nova.example/", False),
        ("https://nova.example/", "https://evil.example\\@nova.example/", False),
        ("https://nova.example/", "data:text/html,hello", False),
        ("https://nova.example/", "::", False),
        ("https://soundcloud.com/nova", "https://soundcloud.com/nova", True),
        ("https://soundcloud.com/nova", "https://m.soundcloud.com/nova", True),
        ("https://soundcloud.com/nova", "https://soundcloud.com/mallory", False),
        ("https://soundcloud.com/nova", "https://soundcloud.com/search", False),
    ],
)
def test_a_redirect_leaves_or_stays(page: str, reached: str, stays: bool) -> None:
    assert stays_on(normal_target(page), reached) is stays
