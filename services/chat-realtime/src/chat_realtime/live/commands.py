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
    room_id: UUID = command.room
    recording = desk.recording
    match command.body:
        case realtime.SendMessage(cid, text, parent_id):
            with measured_send():
                draft = Draft(
                    principal=principal, room_id=room_id, cid=cid, text=text, parent_id=parent_id
                )
                sent = await desk.posting.send(draft)
            return {"msg": sent.message_id, "seq": sent.seq, "dup": sent.dup}
        case realtime.EditMessage(message_id, text):
            async with desk.db.begin() as tx:
                seq: int | None = await messages.edit_message(
                    tx, recording, principal, room_id, message_id, text=text
                )
        case realtime.DeleteMessage(message_id):
            async with desk.db.begin() as tx:
                seq = await messages.delete_message(tx, recording, principal, room_id, message_id)
        case realtime.React(message_id, emoji):
            async with desk.db.begin() as tx:
                seq = await messages.react(
                    tx, recording, principal, room_id, message_id, emoji=emoji
                )
        case realtime.Unreact(message_id, emoji):
            async with desk.db.begin() as tx:
                seq = await messages.unreact(
                    tx, recording, principal, room_id, message_id, emoji=emoji
                )
        case realtime.Moderate() as wanted:
            act = Act(kind=MODERATION_KINDS[command.op], **msgspec.structs.asdict(wanted))
            async with desk.db.begin() as tx:
                action = await moderation.act(tx, recording, principal, room_id, act)
            return {"action": action.id}
        case realtime.BulkDelete() as wanted_gone:
            bulk = msgspec.convert(wanted_gone, Bulk, from_attributes=True)
            async with desk.db.begin() as tx:
                deleted = await moderation.delete_many(tx, recording, principal, room_id, bulk)
            return {"deleted": deleted.message_ids, "more": deleted.more}
        case realtime.Report(message_id, category, comment):
            async with desk.db.begin() as tx:
                report_id = await reports.report_message(
                    tx,
                    recording,
                    principal,
                    room_id,
                    message_id,
                    category=category,
                    comment=comment,
                )
            return {"report": report_id}
        case realtime.Pin(message_id):
            async with desk.db.begin() as tx:
                seq = await pins.pin(tx, recording, principal, room_id, message_id)
        case realtime.Unpin(message_id):
            async with desk.db.begin() as tx:
                seq = await pins.unpin(tx, recording, principal, room_id, message_id)
        case realtime.MarkRead(seq):
            async with desk.db.begin() as tx:
                seq = await attention.mark_read(tx, recording, principal, room_id, seq)
        case _:
            raise AssertionError(f"{command.op} is no change")
    return {"seq": seq}
