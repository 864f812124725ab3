"""The plan of sources is a table: what is asked, in which order, for which entry."""

import pytest
from track_unfurl.links.domain import read_link
from track_unfurl.links.providers import PROVIDERS
from track_unfurl.tracks.sources import plan


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        (
            "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
            [
                "https://open.spotify.com/oembed?url="
                "https%3A%2F%2Fopen.spotify.com%2Ftrack%2F4uLU6hMCjMI75M1A2tKUQC",
                "https://open.spotify.com/embed/track/4uLU6hMCjMI75M1A2tKUQC",
            ],
        ),
        (
            "https://music.apple.com/de/album/x/1440841363",
            [
                "https://itunes.apple.com/lookup?id=1440841363&country=de",
                "https://music.apple.com/de/album/1440841363",
            ],
        ),
        (
            "https://www.deezer.com/album/5",
            ["https://api.deezer.com/album/5", "https://www.deezer.com/album/5"],
        ),
        ("https://someband.bandcamp.com/track/x", ["https://someband.bandcamp.com/track/x"]),
        ("https://www.youtube.com/@handle", ["https://www.youtube.com/@handle"]),
        ("https://music.amazon.com/tracks/B0ABCDEF12", []),
    ],
)
def test_an_entry_is_asked_for_where_it_is_known(link: str, asked: list[str]) -> None:
    assert [ask.url for ask in plan(read_link(link))] == asked


def test_no_two_providers_claim_one_host() -> None:
    claimed = [host for provider in PROVIDERS for host in provider.hosts | provider.short_hosts]
    assert len(claimed) == len(set(claimed))
