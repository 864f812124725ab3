"""Reading a body with bounds on both sides of decompression."""

import zlib
from collections.abc import AsyncIterable, Callable, Iterator
from dataclasses import dataclass

from seda_fetch.errors import BadResponse, TooLarge

INFLATE_STEP_BYTES = 65_536
ACCEPT_ENCODING = "gzip, deflate"
STOP_CHECK_BYTES = 4_096
"""`stop_after` sees the body again only after this much more, so a dripping server cannot make
it scan half a megabyte once per byte."""

StopAfter = Callable[[bytes], bool]

_PLAIN = frozenset({"", "identity"})
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Body:
    content: bytes
    truncated: bool
    """True when the rest was left unread."""


class Inflater:
    """Content-Encoding undone in steps, so a bomb is met one step at a time.

    Refuses every encoding that was not offered, and layers of encodings.
    """

    def __init__(self, content_encoding: str) -> None:
        kind = content_encoding.strip().lower()
        if kind not in _PLAIN | _COMPRESSED:
            raise BadResponse("content encoding was not offered")
        self._may_lack_header = kind == "deflate"
        self._stream = None if kind in _PLAIN else zlib.decompressobj(_GZIP_OR_ZLIB)
        self._started = False

    def steps(self, data: bytes) -> Iterator[bytes]:
        """At most INFLATE_STEP_BYTES each. Bytes behind the end of the stream are dropped."""
        if self._stream is None:
            yield data
            return
        # Some servers send "deflate" without its zlib header, whose first nibble is always 8.
        if not self._started and self._may_lack_header and data[0] & 0x0F != 8:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._started = True
        while not self._stream.eof:
            try:
                step = self._stream.decompress(data, INFLATE_STEP_BYTES)
            except zlib.error:
                raise BadResponse("compressed body is broken") from None
            data = self._stream.unconsumed_tail
            if not step and not data:
                return
            yield step

    @property
    def complete(self) -> bool:
        """False while a compressed body has begun and not ended."""
        return self._stream is None or not self._started or self._stream.eof


async def read_body(
    chunks: AsyncIterable[bytes],
    *,
    content_encoding: str,
    raw_bytes_max: int,
    decoded_bytes_max: int,
    stop_after: StopAfter | None,
    truncate: bool,
) -> Body:
    """The inflated body. Past a limit it raises TooLarge, or with `truncate` keeps what fits."""
    inflater = Inflater(content_encoding)
    content = bytearray()
    raw_bytes = 0
    checked_bytes = 0
    async for chunk in chunks:
        if not chunk:
            continue
        raw_bytes += len(chunk)
        for step in inflater.steps(chunk):
            content += step
            if len(content) > decoded_bytes_max:
                return _cut(content, decoded_bytes_max, truncate=truncate)
        if raw_bytes > raw_bytes_max:
            return _cut(content, decoded_bytes_max, truncate=truncate)
        unchecked_bytes = len(content) - checked_bytes
        if stop_after and (unchecked_bytes >= STOP_CHECK_BYTES or not checked_bytes):
            checked_bytes = len(content)
            if stop_after(bytes(content)):
                return Body(bytes(content), truncated=True)
    if not inflater.complete:
        raise BadResponse("compressed body ends early")
    return Body(bytes(content), truncated=False)


def _cut(content: bytearray, bytes_max: int, *, truncate: bool) -> Body:
    if not truncate:
        raise TooLarge("body is too large")
    return Body(bytes(content[:bytes_max]), truncated=True)
