"""What each invented host answers: a request in, a response out, no sockets."""

import html
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from seda_demosites import pages
from seda_demosites.catalogue import ARTISTS, TRACK_BY_ID, TRACKS, artist_at, cover_svg

HOSTS: tuple[str, ...] = ("tunes.example", "artists.example")
ABOUT_LENGTH_MAX = 4_000
COMMENTS_MAX = 100
SLOW_SECONDS = 20.0


def resolver_override(port: int) -> dict[str, str]:
    """What FETCH_RESOLVER_OVERRIDE holds while these sites run on `port`."""
    return {host: f"127.0.0.1:{port}" for host in HOSTS}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    host: str
    target: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: str
    content_type: str = "text/html; charset=utf-8"
    delay_seconds: float = 0.0


@dataclass(slots=True)
class Words:
    """What visitors and artists wrote; the only state there is."""

    about: dict[str, str] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"about": self.about, "comments": self.comments}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Words":
        kept = json.loads(text)
        return cls(about=dict(kept["about"]), comments=dict(kept["comments"]))


def answer(request: Request, words: Words) -> Response:
    """Routes by host. Changes `words` for the two PUT routes, nothing else."""
    host = request.host.partition(":")[0].lower().rstrip(".")
    site = _SITES.get(host)
    if site is None:
        return Response(421, "No such host here.\n", "text/plain; charset=utf-8")
    if urlsplit(request.target).path == "/robots.txt":
        return Response(200, "User-agent: *\nAllow: /\nDisallow: /private/\n", "text/plain")
    return site(request, words)


def _tunes(request: Request, _words: Words) -> Response:
    target = urlsplit(request.target)
    match target.path.strip("/").split("/"):
        case [""]:
            return Response(200, pages.catalogue_page(TRACKS))
        case ["track", "slow"]:
            return Response(200, pages.track_page(TRACKS[0]), delay_seconds=SLOW_SECONDS)
        case ["track", "challenge"]:
            return Response(200, pages.CHALLENGE)
        case ["track", track_id] if track := TRACK_BY_ID.get(track_id):
            return Response(200, pages.track_page(track))
        case ["cover", file] if track := TRACK_BY_ID.get(file.removesuffix(".svg")):
            return Response(200, cover_svg(track), "image/svg+xml")
        case ["oembed"]:
            return _oembed(parse_qs(target.query).get("url", [""])[0])
    return Response(404, pages.NOT_FOUND)


def _oembed(url: str) -> Response:
    linked = urlsplit(url)
    track = TRACK_BY_ID.get(linked.path.removeprefix("/track/"))
    if linked.hostname != "tunes.example" or track is None:
        return Response(404, '{"error": "not found"}', "application/json")
    return Response(200, json.dumps(pages.oembed_answer(track)), "application/json")


def _artists(request: Request, words: Words) -> Response:
    match [request.method, *urlsplit(request.target).path.strip("/").split("/")]:
        case ["GET" | "HEAD", ""]:
            return Response(200, pages.artists_page(ARTISTS))
        case ["GET" | "HEAD", slug] if artist := artist_at(slug):
            about = words.about.get(slug, artist.about)
            return Response(200, pages.artist_page(artist, about, words.comments.get(slug, [])))
        case ["PUT", slug, "about"] if artist_at(slug):
            words.about[slug] = request.body[:ABOUT_LENGTH_MAX]
            return Response(204, "")
        case ["PUT", slug, "comments"] if artist_at(slug):
            posted = words.comments.setdefault(slug, [])
            posted.append(request.body[:ABOUT_LENGTH_MAX])
            del posted[:-COMMENTS_MAX]
            return Response(204, "")
    # The address is echoed on purpose: a claim check must not take an echo for a placed code.
    return Response(404, f"{pages.NOT_FOUND}<p>No page {html.escape(request.target)}</p>")


_SITES: dict[str, Callable[[Request, Words], Response]] = {
    "tunes.example": _tunes,
    "artists.example": _artists,
}
