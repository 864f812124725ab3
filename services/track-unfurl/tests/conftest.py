"""The service on a real database and a real broker, and pretended providers on loopback TLS."""

import asyncio
import html
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from litestar import Litestar
from seda_db import Database
from seda_fetch import Fetcher
from seda_messaging import Outbox
from seda_testkit.app import running
from seda_testkit.caller import Caller
from seda_testkit.clock import HandClock
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from track_unfurl.app import SERVICE, create_app
from track_unfurl.charts.operations import Charts
from track_unfurl.settings import Settings
from track_unfurl.tables import Table
from track_unfurl.tracks.flights import Flights
from track_unfurl.tracks.hosts import Hosts
from track_unfurl.tracks.operations import Tracks
from track_unfurl.tracks.recent import Recent
from track_unfurl.tracks.resolution import Resolving

PROVIDER_HOSTS = (
    "open.spotify.com",
    "spotify.link",
    "www.youtube.com",
    "itunes.apple.com",
    "music.apple.com",
    "soundcloud.com",
    "kite-paper.bandcamp.com",
    "songs.kite-paper.example",
    "api.deezer.com",
    "www.deezer.com",
    "link.deezer.com",
    "tidal.com",
    "oembed.tidal.com",
    "blog.example",
)


@dataclass(slots=True)
class Answer:
    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class FakeProviders:
    """Speaks each provider's shape, counts what it is asked, and waits where told to.

    `answers` maps host and path (without query) to an answer; what is not in it is a 404.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, Answer] = {}
        self.calls: list[str] = []
        self._held: dict[str, asyncio.Event] = {}

    @property
    def override(self) -> dict[str, str]:
        return {host: f"127.0.0.1:{self.port}" for host in PROVIDER_HOSTS}

    def hold(self, host: str) -> asyncio.Event:
        """The host answers nothing until the event is set."""
        return self._held.setdefault(host, asyncio.Event())

    async def answer(self, host: str, target: str) -> Answer:
        self.calls.append(f"{host}{target}")
        if host in self._held:
            await self._held[host].wait()
        return self.answers.get(f"{host}{urlsplit(target).path}", Answer(status=404))

    def fails(self, key: str, status: int, **headers: str) -> None:
        self.answers[key] = Answer(status=status, headers=headers)

    def redirects(self, key: str, location: str) -> None:
        self.answers[key] = Answer(status=302, headers={"Location": location})

    def says(self, key: str, value: object) -> None:
        self.answers[key] = Answer(body=json.dumps(value))

    def shows(self, key: str, head: str) -> None:
        body = f"<!doctype html><html><head>{head}</head><body></body></html>"
        self.answers[key] = Answer(body=body, content_type="text/html; charset=utf-8")

    def has_deezer_track(self, title: str = "Copper Sky") -> None:
        track = {
            "id": 3135556,
            "title": title,
            "isrc": "ZZSED2600010",
            "duration": 184,
            "artist": {"name": "Dub Cartographer"},
            "album": {"title": "Maps", "cover_xl": "https://img.example/xl.jpg"},
        }
        self.says("api.deezer.com/track/3135556", track)

    def has_spotify_track(self, title: str, artist: str) -> None:
        entity = {"name": title, "artists": [{"name": artist}], "duration": 184_000}
        state = {"props": {"pageProps": {"state": {"data": {"entity": entity}}}}}
        script = f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(state)}</script>'
        oembed = {"title": title, "thumbnail_url": "https://img.example/300"}
        self.says("open.spotify.com/oembed", oembed)
        self.shows("open.spotify.com/embed/track/4uLU6hMCjMI75M1A2tKUQC", script)

    def has_bandcamp_track(self, page: str, title: str, artist: str) -> None:
        tralbum = {
            "artist": artist,
            "item_type": "track",
            "art_id": 77,
            "current": {"title": title},
            "trackinfo": [{"duration": 203.5}],
        }
        tags = '<meta name="generator" content="Bandcamp">'
        tags += f'<meta property="og:title" content="{title}">'
        player = f'<script data-tralbum="{html.escape(json.dumps(tralbum))}"></script>'
        self.shows(page, tags + player)

    def calls_to(self, host: str) -> list[str]:
        return [call for call in self.calls if call.startswith(f"{host}/")]

    def release_all(self) -> None:
        for event in self._held.values():
            event.set()


async def serve_providers(certificate: trustme.LeafCert) -> tuple[asyncio.Server, FakeProviders]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    fake: FakeProviders

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            given = await fake.answer(headers["host"], lines[0].split(" ")[1])
            body = given.body.encode()
            said = {
                "Content-Type": given.content_type,
                "Content-Length": str(len(body)),
                "Connection": "close",
                **given.headers,
            }
            head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
            writer.write(f"HTTP/1.1 {given.status} -\r\n{head}\r\n".encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    fake = FakeProviders(server.sockets[0].getsockname()[1])
    return server, fake


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def providers(authority: trustme.CA) -> AsyncIterator[FakeProviders]:
    server, fake = await serve_providers(authority.issue_cert(*PROVIDER_HOSTS))
    async with server:
        yield fake
        fake.release_all()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def migrated(service_database: Callable[[str, str], ServiceDatabase]) -> ServiceDatabase:
    return service_database("track_unfurl", "unfurl")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(Table.metadata, service=SERVICE)


@pytest.fixture
def tracks(outbox: Outbox, clock: HandClock) -> Tracks:
    return Tracks(outbox=outbox, now=clock, jitter=lambda: 0.0)


@pytest.fixture
def charts(outbox: Outbox, clock: HandClock) -> Charts:
    return Charts(outbox=outbox, now=clock)


@pytest.fixture
async def make_resolving(
    db: Database, tracks: Tracks, providers: FakeProviders, trusting: ssl.SSLContext
) -> AsyncIterator[Callable[..., Resolving]]:
    """Each call is another process: it shares the database with the others and nothing else."""
    made: list[Resolving] = []

    def make(*, fetch_seconds: float = 5.0, db: Database = db) -> Resolving:
        resolving = Resolving(
            db=db,
            tracks=tracks,
            fetcher=Fetcher(
                "SedaBot/1.0", resolver_override=providers.override, ssl_context=trusting
            ),
            hosts=Hosts(lambda: 0.0),
            recent=Recent(),
            refreshes=Flights(),
            hops=Flights(),
            fetch_seconds=fetch_seconds,
        )
        made.append(resolving)
        return resolving

    yield make
    for resolving in made:
        await resolving.refreshes.close()
        await resolving.hops.close()
        await resolving.fetcher.aclose()


@pytest.fixture
def resolving(make_resolving: Callable[..., Resolving]) -> Resolving:
    return make_resolving()


@pytest.fixture
def settings(
    migrated: ServiceDatabase, broker: EmbeddedNats, keys: GatewayKeys, providers: FakeProviders
) -> Settings:
    return Settings(
        env="test",
        port=0,
        database_url=migrated.app_url,
        nats_url=broker.url,
        gateway_url=keys.gateway_url,
        fetch_resolver_override=providers.override,
    )


@pytest.fixture
def app(settings: Settings, clock: HandClock, trusting: ssl.SSLContext) -> Litestar:
    return create_app(settings, now=clock, ssl_context=trusting)


@pytest.fixture
async def client(db: Database, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    del db  # emptied before the service starts
    async with running(app) as client:
        yield client


@pytest.fixture
def get(client: httpx.AsyncClient, keys: GatewayKeys) -> Callable[..., Any]:
    """`await get("/tracks/popular")` as the gateway asks for nobody in particular."""

    nobody = Caller(client, keys, SERVICE)

    async def ask(path: str, **params: str) -> httpx.Response:
        return await nobody("GET", path, params=params)

    return ask
