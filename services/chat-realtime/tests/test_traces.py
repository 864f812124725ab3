"""One trace from the command on the socket to the card that comes of it."""

from typing import TYPE_CHECKING
from uuid import uuid4

from seda_contracts.events.unfurl import TrackCard, TrackResolved, link_id
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat


async def trace_of(chat: "Chat", subject: str) -> str | None:
    """The trace id an outbox row carries."""
    async with chat.db.read() as tx:
        query = text("SELECT headers->>'traceparent' FROM chat.outbox WHERE subject LIKE :subject")
        traceparent = await tx.scalar(query, {"subject": subject})
    return traceparent and traceparent.split("-")[1]


async def test_send_and_card_are_one_trace(chat: "Chat") -> None:
    ann, url = chat.person(), f"https://tunes.example/{uuid4().hex}"
    room = await ann.room()
    async with ann.socket(room) as anns:
        await anns.ask("msg.send", room, cid="c", text=url)
    asked = await trace_of(chat, f"seda.cmd.unfurl.resolve.v1.{link_id(url)}")
    assert asked is not None
    assert asked == await trace_of(chat, f"seda.evt.chat.message.sent.v1.{room}")
    answer = TrackResolved(
        link_id=link_id(url),
        url=url,
        card=TrackCard(
            track_id=link_id(url), provider="x", kind="track", canonical_url=url, status="ok"
        ),
        card_version=1,
        resolved_at=utc_now(),
    )
    # What track-unfurl does: it answers in the trace of the question.
    await chat.publish(answer, headers={"traceparent": f"00-{asked}-{'1' * 16}-01"})
    attached = f"seda.evt.chat.card.attached.v1.{room}"
    assert await eventually(lambda: trace_of(chat, attached)) == asked
