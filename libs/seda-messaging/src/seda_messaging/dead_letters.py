"""The copy of a message that is given up: everything it said, why, and from where."""

from collections.abc import Mapping

import msgspec

from seda_messaging.bus import message_bytes
from seda_messaging.pull import Message

REASON_LENGTH_MAX = 300
HEADER_BYTES_MAX = 1_024
HEADERS_MAX = 40


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What is published to `seda.dlq.<service>.<purpose>`."""

    subject: str
    body: bytes
    headers: dict[str, str]


def dead_letter(message: Message, *, consumer: str, reason: str, bytes_max: int) -> DeadLetter:
    """A full copy, or as much of it as the broker takes; `seda-dead-cut` then tells its length.

    The id holds the event's own: giving up one delivery twice makes one letter, while an event that
    was sent again and died again makes another.
    """
    event_id = message.headers.get("ce-id", "")[:64]
    headers = {
        **_kept(message.headers),
        "seda-dead-subject": message.subject,
        "seda-dead-reason": _one_line(reason)[:REASON_LENGTH_MAX],
        "seda-dead-sequence": str(message.sequence),
        "seda-dead-attempts": str(message.attempt),
        "Nats-Msg-Id": _one_line(f"{consumer}:{message.sequence}:{event_id}"),
    }
    body = message.body
    if message_bytes(body, headers) > bytes_max:
        headers["seda-dead-cut"] = str(len(body))
        body = body[: max(0, bytes_max - message_bytes(b"", headers))]
    return DeadLetter(subject=f"seda.dlq.{consumer}", body=body, headers=headers)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers it came with, as far as they can be sent again. `Nats-*` would be orders to the
    broker (expect this sequence, expire then) and not facts about the event.
    """
    kept = {
        name: _one_line(value)
        for name, value in headers.items()
        if name.isascii()
        and not name.lower().startswith("nats-")
        and len(name) + len(value.encode()) <= HEADER_BYTES_MAX
    }
    return dict(list(kept.items())[:HEADERS_MAX])


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
