"""One trace leads from the socket's send to the card: two services, NATS and both outboxes."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from chat_realtime.app import create_app as create_chat
from chat_realtime.settings import Settings as ChatSettings
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from seda_client import Ticket
from seda_demosites import resolver_override
from seda_demosites.server import start as start_demosites
from seda_messaging.provision import provision
from seda_testkit.app import running as serving
from seda_testkit.databases import ServiceDatabase
from seda_testkit.keys import GatewayKeys
from seda_testkit.nats import EmbeddedNats
from seda_testkit.watching import watching
from track_unfurl.app import create_app as create_unfurl
from track_unfurl.settings import Settings as UnfurlSettings

Databases = Callable[[str, str], ServiceDatabase]


@pytest.fixture
async def both(
    service_database: Databases, fresh_nats: EmbeddedNats, keys: GatewayKeys
) -> AsyncIterator[tuple[Any, Any]]:
    """chat-realtime and track-unfurl in this process: the chat application and its HTTP client."""
    for service in ("chat-realtime", "track-unfurl"):
        await provision(fresh_nats.url, service)
    demosites = await start_demosites(0)
    demosites_port = demosites.sockets[0].getsockname()[1]
    shared: dict[str, Any] = {
        "env": "test",
        "port": 0,
        "nats_url": fresh_nats.url,
        "gateway_url": keys.gateway_url,
        "trace_sample_ratio": 1.0,
    }
    chat_url = service_database("chat_realtime", "chat").app_url
    chat = create_chat(ChatSettings(**shared, database_url=chat_url, socket_port=0))
    unfurl = create_unfurl(
        UnfurlSettings(
            **shared,
            database_url=service_database("track_unfurl", "unfurl").app_url,
            fetch_resolver_override=resolver_override(demosites_port),
        )
    )
    async with serving(unfurl), serving(chat) as http:
        yield chat, http
    demosites.close()


def trace_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


async def test_a_send_and_its_card_are_one_trace(
    both: tuple[Any, Any], keys: GatewayKeys, spans: InMemorySpanExporter
) -> None:
    chat, http = both
    author, session = uuid4(), uuid4()
    path = "/api/v1/chat/rooms"
    identity = keys.identity("chat-realtime", "POST", path, user_id=author, session_id=session)
    made = await http.post(path, json={"name": "Traced"}, headers={"X-Seda-Identity": identity})
    assert made.status_code == 201, made.text
    room = made.json()["id"]
    url = f"ws://127.0.0.1:{chat.state.live.listener.port}/api/v1/realtime"
    ticket = keys.socket_ticket(author, session_id=session)

    async def source() -> Ticket:
        return Ticket(url, ticket=ticket)

    async with watching(source) as live:
        await live.follow(room)
        await live.send(room, f"http://tunes.example/track/5?at={time.time_ns()}")
        await live.wait_for(lambda told: told.kind == "card.attached")

    finished = spans.get_finished_spans()
    (sent,) = (span for span in finished if span.name == "socket msg.send")
    names = [span.name for span in finished if trace_id(span) == trace_id(sent)]
    for step in (
        "consume seda.cmd.unfurl.resolve.v1",
        "unfurl.read",
        "consume seda.evt.unfurl.track.resolved.v1",
    ):
        assert step in names, names
