"""A frame of the protocol as bytes: what is said is `seda_contracts.realtime`.

Server frames are unmasked, so one serves every member of a room.
"""

import zlib

import msgspec

TEXT, BINARY = 0x81, 0x82
"""The first byte of a whole message in one frame."""
_DEFLATED = 0x40
_WINDOW_BITS = 9
"""The smallest that a client can ask for, so one compression serves all. A message is hardly longer
than its 512 bytes."""
_EMPTY_BLOCK_BYTES = 4

_encoder = msgspec.json.Encoder()


def encode(frame: msgspec.Struct) -> bytes:
    return _encoder.encode(frame)


def text_frame(payload: bytes) -> bytes:
    return _frame(TEXT, payload)


def deflated_frame(payload: bytes, kind: int = TEXT) -> bytes:
    """The same for those who agreed on permessage-deflate (RFC 7692), without any context."""
    deflate = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=-_WINDOW_BITS)
    data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return _frame(kind | _DEFLATED, data[:-_EMPTY_BLOCK_BYTES])


def _frame(first: int, payload: bytes) -> bytes:
    """By hand: the library's takes longer than a write to many members should wait for."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return bytes((first, 126, size >> 8, size & 255)) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
