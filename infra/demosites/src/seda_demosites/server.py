"""HTTP/1.1 on one loopback port, one request per connection: enough for pages nobody else reads."""

import asyncio
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from seda_demosites.sites import Request, Response, Words, answer

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 65_536
REQUEST_SECONDS_MAX = 10.0


async def start(port: int, state: Path | None = None) -> asyncio.Server:
    """Listens on 127.0.0.1; port 0 lets the kernel choose. The caller closes the server."""
    words = _load(state)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            request = await asyncio.wait_for(_read(reader), REQUEST_SECONDS_MAX)
            response = (
                answer(request, words) if request else Response(400, "Bad request.\n", "text/plain")
            )
            if request and request.method == "PUT":
                _save(state, words)
            if not await _waited(response.delay_seconds):
                writer.close()
                return
            writer.write(_encode(response, with_body=request is None or request.method != "HEAD"))
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port, limit=HEAD_BYTES_MAX)


async def _waited(delay_seconds: float) -> bool:
    """False when the sites are stopped meanwhile, which asyncio would report loudly."""
    try:
        await asyncio.sleep(delay_seconds)
    except asyncio.CancelledError:
        return False
    return True


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        return None
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, mark, value in (line.partition(":") for line in lines)
        if mark
    }
    length = headers.get("content-length", "0")
    if len(words) != 3 or not length.isdecimal() or int(length) > BODY_BYTES_MAX:
        return None
    body = await reader.readexactly(int(length))
    method, target, _ = words
    text = body.decode("utf-8", "replace")
    return Request(method=method, host=headers.get("host", ""), target=target, body=text)


def _encode(response: Response, *, with_body: bool) -> bytes:
    body = response.body.encode()
    head = (
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (body if with_body else b"")


def _load(state: Path | None) -> Words:
    return Words.from_json(state.read_text()) if state and state.exists() else Words()


def _save(state: Path | None, words: Words) -> None:
    """Replaced whole, so a stop in the middle leaves the old words and not half of the new."""
    if state is not None:
        fresh = state.with_suffix(".new")
        fresh.write_text(words.to_json())
        os.replace(fresh, state)
