"""What a contract is: a frozen struct that knows its type, its subject and its key.

Readers are tolerant (unknown fields are ignored); a field added within a major version has a
default. `contracts/README.md` has the law.
"""

import re
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

import msgspec

Kind = Literal["evt", "cmd", "state"]
Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
"""UTC; the offset is part of the wire form."""

BODY_BYTES_MAX = 262_144
"""Facts carry ids; the largest today is below 20 KB. A bigger one is refused by every consumer."""

_encoder = msgspec.json.Encoder()
_KEY = re.compile(r"[A-Za-z0-9_-]{1,200}")


class UnsafeSubjectKeyError(ValueError):
    """The key would change the meaning of a subject (dot, wildcard, space) or is too long."""


def subject_key(value: UUID | str) -> str:
    """One subject token. Raises UnsafeSubjectKeyError unless it is made of letters, digits, _ or -.

    User input reaches a broker only through here, so it can never become a second token or a
    wildcard.
    """
    key = str(value)
    if isinstance(value, UUID):
        return key
    if not _KEY.fullmatch(key):
        raise UnsafeSubjectKeyError(key[:50])
    return key


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One published shape. Subclass Event, Command or State instead."""

    KIND: ClassVar[Kind]
    TYPE: ClassVar[str]
    """Owner, noun, past participle, major version: `chat.message.sent.v1`."""
    KEY: ClassVar[str]
    """Name of the field whose value ends the subject and orders delivery."""

    def key(self) -> str:
        return subject_key(getattr(self, self.KEY))

    def subject(self) -> str:
        return self.subject_of(self.key())

    @classmethod
    def subject_of(cls, key: str) -> str:
        """`key` is what the key() of such a contract returned."""
        return f"seda.{cls.KIND}.{cls.TYPE}.{key}"

    @classmethod
    def subject_filter(cls) -> str:
        return f"seda.{cls.KIND}.{cls.TYPE}.*"

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises msgspec.ValidationError or msgspec.DecodeError."""
        return msgspec.json.decode(body, type=cls)


class Event(Contract, frozen=True, kw_only=True):
    """A fact that happened. Durable, at least once, ordered per key."""

    KIND: ClassVar[Kind] = "evt"


class Command(Contract, frozen=True, kw_only=True):
    """Work for exactly one service. Removed from its queue when done."""

    KIND: ClassVar[Kind] = "cmd"


class State(Contract, frozen=True, kw_only=True):
    """The latest snapshot of one entity; older ones are forgotten by the stream.

    `version` rises with every change, so a projection can drop what it has already passed.
    """

    KIND: ClassVar[Kind] = "state"
    version: int
