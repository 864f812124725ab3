"""Without NATS people still talk: PostgreSQL has every message, and the sweep shows it."""

import asyncio
from typing import TYPE_CHECKING, Any

from seda_messaging.provision import provision
from seda_testkit.eventually import eventually
from sqlalchemy import text

if TYPE_CHECKING:
    from conftest import Chat
    from seda_testkit.nats import EmbeddedNats


async def test_messages_are_acknowledged_and_seen_while_the_broker_is_away(
    start_chat: Any, fresh_nats: "EmbeddedNats"
) -> None:
    await provision(fresh_nats.url, "chat-realtime")
    chat: Chat
    async with start_chat(nats_url=fresh_nats.url, sweep_seconds=0.1) as chat:
        ann, ben = chat.person(), chat.person()
        room, other = await ann.room(ben), await ann.room(ben)
        async with ann.socket(room) as anns, ben.socket(room) as bens:
            fresh_nats.kill()
            await eventually(lambda: not chat.bus.is_connected)
            sent = await anns.ask("msg.send", room, cid="c1", text="is anybody there?")
            await bens.until(op="ev", seq=sent["seq"])
            await bens.ask("room.sub", other)
            await bens.until(op="live", room=str(other))
            elsewhere = await anns.ask("msg.send", other, cid="c2", text="here too")
            await bens.until(op="ev", room=str(other), seq=elsewhere["seq"])
            fresh_nats.start()
            await eventually(lambda: chat.bus.is_connected)
            many = await asyncio.gather(
                *(anns.ask("msg.send", room, cid=f"n{n}", text="back") for n in range(10))
            )
            last = max(reply["seq"] for reply in many)
            await bens.until(op="ev", room=str(room), seq=last)
            heard = [event["seq"] for event in bens.events(room)]
            assert heard == list(range(sent["seq"], last + 1))
        await eventually(lambda: everything_was_published(chat))


async def everything_was_published(chat: "Chat") -> bool:
    async with chat.db.read() as tx:
        query = text("SELECT count(*) FROM chat.outbox WHERE published_at IS NULL")
        return not await tx.scalar(query)
