"""CloudEvents 1.0 attributes as NATS headers (binary mode): the body is the data and nothing else.

`Nats-Msg-Id` is the event id, so that the broker drops a copy inside its duplicate window.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from seda_contracts.base import Contract

CONTENT_TYPE = "application/json"
PARTITION_KEY = "ce-partitionkey"


class MalformedEnvelopeError(ValueError):
    """A header that every event carries is missing or has no sound value."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who said what, and when."""

    event_id: UUID
    type: str
    source: str
    """`/seda/<service>`: a claim of the producer; the broker's permissions make it true."""
    time: datetime


def headers_of(contract: Contract, *, event_id: UUID, service: str, at: datetime) -> dict[str, str]:
    id_text = str(event_id)
    return {
        "Nats-Msg-Id": id_text,
        "ce-specversion": "1.0",
        "ce-id": id_text,
        "ce-type": contract.TYPE,
        "ce-source": f"/seda/{service}",
        "ce-time": at.isoformat().replace("+00:00", "Z"),
        PARTITION_KEY: contract.key(),
        "content-type": CONTENT_TYPE,
    }


def read_envelope(headers: Mapping[str, str] | None) -> Envelope:
    """Raises MalformedEnvelopeError."""
    found = headers or {}
    try:
        return Envelope(
            event_id=UUID(found["ce-id"]),
            type=found["ce-type"],
            source=found["ce-source"],
            time=datetime.fromisoformat(found["ce-time"].replace("Z", "+00:00")),
        )
    except (KeyError, ValueError) as error:
        raise MalformedEnvelopeError(f"missing or malformed attribute: {error}") from error
