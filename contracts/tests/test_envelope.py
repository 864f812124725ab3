"""CloudEvents attributes survive the headers, and broken ones are refused by name."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from seda_contracts.envelope import MalformedEnvelopeError, headers_of, read_envelope
from seda_contracts.events.unfurl import UnfurlResolve, link_id

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "http://tunes.example/track/1"
COMMAND = UnfurlResolve(link_id=link_id(URL), url=URL)


def test_headers_carry_the_attributes_and_the_duplicate_key() -> None:
    event_id = uuid4()
    headers = headers_of(COMMAND, event_id=event_id, service="chat-realtime", at=NOON)
    assert headers["Nats-Msg-Id"] == str(event_id)
    assert headers["ce-time"] == "2026-01-01T12:00:00Z"
    envelope = read_envelope(headers)
    assert (envelope.event_id, envelope.type, envelope.source, envelope.time) == (
        event_id,
        "unfurl.resolve.v1",
        "/seda/chat-realtime",
        NOON,
    )


@pytest.mark.parametrize("name", ["ce-id", "ce-type", "ce-source", "ce-time"])
def test_a_missing_attribute_is_refused(name: str) -> None:
    headers = headers_of(COMMAND, event_id=uuid4(), service="x", at=NOON)
    del headers[name]
    with pytest.raises(MalformedEnvelopeError, match=name):
        read_envelope(headers)


@pytest.mark.parametrize(("name", "value"), [("ce-id", "1"), ("ce-time", "yesterday")])
def test_a_malformed_attribute_is_refused(name: str, value: str) -> None:
    headers = headers_of(COMMAND, event_id=uuid4(), service="x", at=NOON) | {name: value}
    with pytest.raises(MalformedEnvelopeError):
        read_envelope(headers)


def test_no_headers_at_all_are_refused() -> None:
    with pytest.raises(MalformedEnvelopeError):
        read_envelope(None)


def test_every_service_derives_the_same_link_id() -> None:
    assert link_id(URL) == link_id(URL)
    assert link_id(URL) != link_id(URL + "?x")
