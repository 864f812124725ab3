"""A suspended account: its sockets close on every process, and none opens."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from chat_realtime.live import store
from seda_contracts.events.auth import AccountRestored, AccountSuspended
from seda_runtime.clock import utc_now
from seda_testkit.eventually import eventually

if TYPE_CHECKING:
    from ..conftest import Chat


def suspended(
    user_id: UUID, *, perm_version: int = 1, until: datetime | None = None
) -> AccountSuspended:
    return AccountSuspended(
        user_id=user_id,
        suspended_by=uuid4(),
        suspended_at=utc_now(),
        perm_version=perm_version,
        until=until,
    )


def restored(user_id: UUID, *, perm_version: int = 2) -> AccountRestored:
    return AccountRestored(
        user_id=user_id, restored_by=uuid4(), restored_at=utc_now(), perm_version=perm_version
    )


async def test_a_suspended_person_is_cut_everywhere_and_hears_nothing_later(
    chat: "Chat", other_chat: "Chat", knock: Any
) -> None:
    ann, ben = chat.person(), chat.person()
    room = await ben.room(ann)
    unused = (("ticket", ann.ticket()), ("token", chat.keys.access_token(ann.id)))
    async with (
        ann.socket(room) as here,
        ann.socket(room, via=other_chat) as there,
        ben.socket(room) as bens,
    ):
        await chat.publish(suspended(ann.id))
        assert await here.close_code() == await there.close_code() == 4504
        heard = len(here.heard), len(there.heard)
        await ben.post(room, "after her")
        await bens.until(op="ev", t="message.created")
        assert (len(here.heard), len(there.heard)) == heard
        for process in (chat, other_chat):
            audience = process.live.hub.audience(room)
            assert audience is None or ann.id not in {m.user_id for m in audience}
    for name, credential in unused:
        async with knock(other_chat) as socket:
            refusal = await socket.refused("hello", **{name: credential})
            assert (refusal["code"], refusal["retry"]) == ("banned", "never")
            assert await socket.close_code() == 4504


async def test_a_lost_signal_about_a_suspension_is_mended_by_the_sweep(chat: "Chat") -> None:
    ann, ben = chat.person(), chat.person()
    async with ann.socket() as anns, ben.socket() as bens:
        async with chat.db.begin() as tx:
            await store.put_suspension(
                tx, ann.id, perm_version=1, is_suspended=True, until=None, now=utc_now()
            )
        await chat.live.sweep()
        assert await anns.close_code() == 4504
        await bens.say("hb")
        await bens.until(op="hb.ok")


async def test_a_restored_person_comes_back_with_a_newer_ticket_only(
    chat: "Chat", knock: Any
) -> None:
    ann = chat.person()
    old = ann.ticket()
    await chat.publish(suspended(ann.id))
    await chat.publish(restored(ann.id))

    async def is_restored() -> bool:
        async with chat.db.read() as tx:
            return await store.perm_versions(tx, [ann.id]) == {ann.id: 2}

    await eventually(is_restored)
    async with knock(chat) as socket:
        assert (await socket.refused("hello", ticket=old))["code"] == "unauthenticated"
        assert await socket.close_code() == 4003
    async with knock(chat) as socket:
        await socket.say("hello", ticket=chat.keys.socket_ticket(ann.id, perm_v=2))
        await socket.until(op="ready")
        # Told once more and late: it is older than this socket.
        await chat.publish(suspended(ann.id))
        marker = chat.person()
        await chat.publish(suspended(marker.id))

        async def marker_is_suspended() -> bool:
            async with chat.db.read() as tx:
                return bool(await store.suspended_among(tx, [marker.id], now=utc_now()))

        await eventually(marker_is_suspended)
        await chat.live.sweep()
        await socket.say("hb")
        await socket.until(op="hb.ok")


async def test_a_suspension_past_its_end_keeps_nobody_out(chat: "Chat", knock: Any) -> None:
    ann = chat.person()
    moment = utc_now() + timedelta(minutes=5)
    async with chat.db.begin() as tx:
        await store.put_suspension(
            tx, ann.id, perm_version=1, is_suspended=True, until=moment, now=utc_now()
        )
        assert await store.suspended_among(tx, [ann.id], now=moment - timedelta(seconds=1))
        assert not await store.suspended_among(tx, [ann.id], now=moment)


async def test_old_suspensions_are_forgotten_when_no_token_of_before_can_live(
    chat: "Chat",
) -> None:
    ann = chat.person()
    async with chat.db.begin() as tx:
        await store.put_suspension(
            tx, ann.id, perm_version=1, is_suspended=True, until=None, now=utc_now()
        )
        await store.forget_expired(tx, now=utc_now())
        assert await store.suspended_among(tx, [ann.id], now=utc_now())
        later = utc_now() + store.REVOCATION_KEPT + timedelta(seconds=1)
        await store.forget_expired(tx, now=later)
        assert not await store.suspended_among(tx, [ann.id], now=utc_now())
        await tx.rollback()
