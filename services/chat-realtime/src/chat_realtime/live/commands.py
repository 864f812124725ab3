"""Commands that change something: each opens one transaction and calls the operation HTTP calls.
Only a message that is sent goes past the rates to the batcher, as over HTTP.

The answer is made after the commit: an `ok` means that PostgreSQL has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from seda_contracts import realtime
from seda_db import Database
from seda_identity import Principal
from sqlalchemy.ext.asyncio import AsyncSession

from chat_realtime.attention import operations as attention
from chat_realtime.limits.gate import Gate
from chat_realtime.live.session import Command
from chat_realtime.log.operations import Recording
from chat_realtime.messages import operations as messages
from chat_realtime.messages.measures import measured_send
from chat_realtime.messages.posting import Posting
from chat_realtime.messages.sending import Draft
from chat_realtime.moderation import operations as moderation
from chat_realtime.moderation.domain import ActKind
from chat_realtime.moderation.operations import Act, Bulk
from chat_realtime.pins import operations as pins
from chat_realtime.reports import operations as reports

MODERATION_KINDS: Mapping[str, ActKind] = {
    "mod.mute": "mute",
    "mod.unmute": "unmute",
    "mod.kick": "kick",
    "mod.ban": "ban",
    "mod.unban": "unban",
    "mod.delete": "delete_message",
    "mod.slow": "slow",
    "mod.lock": "lock",
    "mod.unlock": "unlock",
}


PERMISSIONS: Mapping[str, str] = {
    "room.sub": "message:read",
    "read.mark": "message:read",
    "msg.send": "message:write",
    "msg.edit": "message:write",
    "msg.delete": "message:write",
    "msg.report": "message:write",
    "react.add": "message:write",
    "react.remove": "message:write",
    "typing": "message:write",
    "pin.add": "moderation:write",
    "pin.remove": "moderation:write",
    **dict.fromkeys([*MODERATION_KINDS, "mod.bulk_delete"], "moderation:write"),
}
"""What a bot's key must be made for; the rest is about the socket itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What commands work with."""

    db: Database
    recording: Recording
    posting: Posting
    gate: Gate


async def perform(desk: Desk, principal: Principal, command: Command) -> dict[str, Any]:
    """The `ok` of a command. Raises what the operation raises."""
    assert command.room is not None
    if isinstance(command.body, realtime.SendMessage):
        return await _send(desk.posting, principal, command.room, command.body)
    async with desk.db.begin() as tx:
        return await _change(tx, desk.recording, principal, command.room, command)


async def _send(
    posting: Posting, principal: Principal, room_id: UUID, wanted: realtime.SendMessage
) -> dict[str, Any]:
    draft = Draft(
        principal=principal,
        room_id=room_id,
        cid=wanted.cid,
        text=wanted.text,
        parent_id=wanted.parent_id,
    )
    with measured_send():
        sent = await posting.send(draft)
    return {"msg": sent.message_id, "seq": sent.seq, "dup": sent.dup}


async def _change(
    tx: AsyncSession, recording: Recording, principal: Principal, room_id: UUID, command: Command
) -> dict[str, Any]:
    where = (tx, recording, principal, room_id)
    seq: int | None
    match command.body:
        case realtime.EditMessage(message_id, text):
            seq = await messages.edit_message(*where, message_id, text=text)
        case realtime.DeleteMessage(message_id):
            seq = await messages.delete_message(*where, message_id)
        case realtime.React(message_id, emoji):
            seq = await messages.react(*where, message_id, emoji=emoji)
        case realtime.Unreact(message_id, emoji):
            seq = await messages.unreact(*where, message_id, emoji=emoji)
        case realtime.Moderate() as wanted:
            act = Act(kind=MODERATION_KINDS[command.op], **msgspec.structs.asdict(wanted))
            action = await moderation.act(*where, act)
            return {"action": action.id}
        case realtime.BulkDelete() as wanted_gone:
            bulk = msgspec.convert(wanted_gone, Bulk, from_attributes=True)
            deleted = await moderation.delete_many(*where, bulk)
            return {"deleted": deleted.message_ids, "more": deleted.more}
        case realtime.Report(message_id, category, comment):
            report_id = await reports.report_message(
                *where, message_id, category=category, comment=comment
            )
            return {"report": report_id}
        case realtime.Pin(message_id):
            seq = await pins.pin(*where, message_id)
        case realtime.Unpin(message_id):
            seq = await pins.unpin(*where, message_id)
        case realtime.MarkRead(up_to):
            seq = await attention.mark_read(*where, up_to)
        case _:
            raise AssertionError(f"{command.op} is no change")
    return {"seq": seq}
