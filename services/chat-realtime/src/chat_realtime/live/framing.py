"""A frame of the protocol as bytes: what is said is `seda_contracts.realtime`."""

import msgspec
from websockets.frames import Frame, Opcode

_encoder = msgspec.json.Encoder()


def encode(frame: msgspec.Struct) -> bytes:
    return _encoder.encode(frame)


def text_frame(payload: bytes) -> bytes:
    """The bytes on the wire. Server frames are unmasked, so one serves every member of a room."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)
