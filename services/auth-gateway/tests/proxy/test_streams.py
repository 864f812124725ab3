"""Answers that go on: passed piece by piece, without an end of their own, and let go in time."""

import asyncio
from typing import Any

import msgspec
from auth_gateway.app import create_app
from auth_gateway.settings import Settings
from litestar import Litestar
from seda_identity.identity import path_hash
from seda_testkit.app import running
from seda_testkit.eventually import eventually
from seda_testkit.streams import open_answer

from ..people import Person, sign_up
from ..upstream import Exchange, Upstream
from .test_routes import identity_seen

PATH = "/api/v1/chat/stream"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Source:
    """A service that says a piece when the test wants it to."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_left = False

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.send(HEAD)
        left = asyncio.ensure_future(exchange.reader.read(1))
        while not left.done():
            piece = asyncio.ensure_future(self.pieces.get())
            await asyncio.wait({left, piece}, return_when=asyncio.FIRST_COMPLETED)
            if piece.done():
                await exchange.send(b"%x\r\n%b\r\n" % (len(piece.result()), piece.result()))
            piece.cancel()
        self.is_left = True
        raise ConnectionResetError


def listen(app: Litestar, person: Person, **more: str) -> Any:
    headers = person.headers | more
    return open_answer(app, PATH, query=[("room", "r:1:2")], headers=headers)


async def test_a_stream_outlives_the_time_of_an_answer_and_is_not_held_back(
    settings: Settings, upstream: Upstream
) -> None:
    source = Source()
    upstream.behaviour = source
    app = create_app(
        msgspec.structs.replace(
            settings, upstream_read_timeout_ms=100, upstream_total_timeout_ms=200
        )
    )
    async with running(app) as client:
        nina = await sign_up(client)
        async with listen(app, nina, **{"last-event-id": "x.1.2"}) as answer:
            began, number = asyncio.get_running_loop().time(), 0
            # Well past what an ordinary answer may take.
            while asyncio.get_running_loop().time() < began + 0.6:
                number += 1
                await source.pieces.put(b"data: %d\n\n" % number)
                await eventually(lambda n=number: answer.body.count(b"\n\n") == n)
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream"
            exchange = upstream.seen[-1]
            assert exchange.target == f"{PATH}?room=r%3A1%3A2"
            assert exchange.header("last-event-id") == "x.1.2"
            claims = await identity_seen(client, exchange)
            assert (claims["p"], claims["perm_v"]) == (path_hash(PATH), 1)
            assert claims["until"] > claims["exp"]
        await eventually(lambda: source.is_left)


async def test_a_silent_service_and_one_that_goes_end_the_stream(
    settings: Settings, upstream: Upstream
) -> None:
    source = Source()
    upstream.behaviour = source
    app = create_app(msgspec.structs.replace(settings, upstream_stream_silence_ms=200))
    async with running(app) as client:
        nina = await sign_up(client)
        async with listen(app, nina) as answer:
            await source.pieces.put(b"data: 1\n\n")
            await eventually(lambda: answer.body)
            await eventually(lambda: source.is_left)


async def test_a_gateway_that_stops_lets_its_streams_go(app: Litestar, upstream: Upstream) -> None:
    source = Source()
    upstream.behaviour = source
    async with running(app) as client:
        nina = await sign_up(client)
        async with listen(app, nina) as answer:
            await source.pieces.put(b"data: 1\n\n")
            await eventually(lambda: answer.body)
            app.state.stopping.begin()
            await eventually(lambda: source.is_left)


async def test_a_refused_stream_is_an_ordinary_answer(app: Litestar, upstream: Upstream) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}")

    upstream.behaviour = refuse
    async with running(app) as client:
        nina = await sign_up(client)
        async with listen(app, nina) as answer:
            await eventually(lambda: answer.has_ended)
            assert (answer.status, answer.body) == (404, b"{}")
        async with open_answer(app, PATH) as answer:
            assert answer.status == 401
