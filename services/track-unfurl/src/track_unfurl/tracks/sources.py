"""Which addresses say something about an entry, in the order they are worth asking.

All of them answer without a key. The first is quick and cheap; the next knows what it leaves out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from seda_fetch import Fetched

from track_unfurl.links.canonical import Canonical
from track_unfurl.metadata.deezer import read_deezer
from track_unfurl.metadata.itunes import read_itunes
from track_unfurl.metadata.oembed import read_oembed
from track_unfurl.metadata.page import oembed_link, read_page
from track_unfurl.metadata.reading import Reading
from track_unfurl.metadata.spotify_embed import read_spotify_embed

JSON = "application/json"
HTML = "text/html,application/xhtml+xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request and how its answer reads. `follow` may name one more address to ask."""

    url: str
    accept: str
    read: Callable[[Fetched], tuple[Reading, ...]]
    follow: Callable[[Fetched], str | None] = lambda _: None


def plan(entry: Canonical) -> tuple[Ask, ...]:
    """The requests for one entry; pure, so a test can read the whole table."""
    address, escaped = entry.canonical_url, quote(entry.canonical_url, safe="")
    match entry.provider:
        case "spotify":
            embed = Ask(url=entry.embed_url or address, accept=HTML, read=_read_embed)
            return (_oembed(f"https://open.spotify.com/oembed?url={escaped}", "spotify"), embed)
        case "youtube" if entry.kind in {"video", "playlist"}:
            endpoint = f"https://www.youtube.com/oembed?url={escaped}&format=json"
            return (_oembed(endpoint, "youtube"), _page(entry))
        case "apple_music" if entry.kind in {"track", "album", "artist", "video"}:
            country, number = address.split("/")[3], address.rpartition("/")[2]
            lookup = f"https://itunes.apple.com/lookup?id={number}&country={country}"
            return (Ask(url=lookup, accept=JSON, read=_json(read_itunes)), _page(entry))
        case "soundcloud":
            endpoint = f"https://soundcloud.com/oembed?format=json&url={escaped}"
            return (_oembed(endpoint, "soundcloud"), _page(entry))
        case "deezer":
            api = address.replace("https://www.deezer.com/", "https://api.deezer.com/")
            return (Ask(url=api, accept=JSON, read=_json(read_deezer)), _page(entry))
        case "tidal":
            return (_page(entry), _oembed(f"https://oembed.tidal.com/?url={escaped}", "tidal"))
        case "audiomack":
            endpoint = f"https://audiomack.com/oembed?url={escaped}&format=json"
            return (_oembed(endpoint, "audiomack"), _page(entry))
        case "mixcloud":
            endpoint = f"https://www.mixcloud.com/oembed/?url={escaped}&format=json"
            return (_oembed(endpoint, "mixcloud"), _page(entry))
        case "amazon_music":
            # Rendered in the browser alone: asking would teach nothing.
            return ()
        case "generic":
            return (_page(entry, discover=True),)
    return (_page(entry),)


def discovered(url: str, provider: str) -> Ask:
    """What a page's own oEmbed link leads to."""
    return _oembed(url, provider)


def _oembed(url: str, provider: str) -> Ask:
    return Ask(url=url, accept=JSON, read=lambda fetched: (read_oembed(fetched.body, provider),))


def _page(entry: Canonical, *, discover: bool = False) -> Ask:
    def read(fetched: Fetched) -> tuple[Reading, ...]:
        content_type = fetched.headers.get("content-type", "")
        return read_page(fetched.text(), content_type, entry.provider)

    def follow(fetched: Fetched) -> str | None:
        return oembed_link(fetched.text())

    if discover:
        return Ask(url=entry.canonical_url, accept=HTML, read=read, follow=follow)
    return Ask(url=entry.canonical_url, accept=HTML, read=read)


def _read_embed(fetched: Fetched) -> tuple[Reading, ...]:
    return (read_spotify_embed(fetched.text()),)


def _json(read: Callable[[bytes], Reading]) -> Callable[[Fetched], tuple[Reading, ...]]:
    return lambda fetched: (read(fetched.body),)
