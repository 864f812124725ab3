"""HTTP of messages and reactions: decode, one transaction, one operation, encode. To send, the
batcher opens the transaction.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta
from seda_db import Database
from seda_identity import Policy, Principal
from seda_runtime.ids import uuid7

from chat_realtime.log.domain import SEQ_MAX
from chat_realtime.log.operations import Recording
from chat_realtime.messages import operations
from chat_realtime.messages.domain import TEXT_LENGTH_MAX
from chat_realtime.messages.measures import measured_send
from chat_realtime.messages.posting import Posting
from chat_realtime.messages.sending import Draft, Sent
from chat_realtime.messages.store import Page

Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]
Limit = Annotated[int, QueryParameter(ge=1, le=100)]
SeqOrNone = Annotated[int | None, QueryParameter(ge=0, le=SEQ_MAX)]
Seq = Annotated[int, QueryParameter(ge=0, le=SEQ_MAX)]
IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key")]

READ = Policy("message:read")
WRITE = Policy("message:write", limit="messages")


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cid` is the client's own id; the header Idempotency-Key may carry it instead."""

    text: Text
    cid: str | None = None
    parent_id: UUID | None = None


class NewMessageInRoom(NewMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    room_id: UUID


class NewText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Text


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """The stored message as its sender needs it. `dup`: it had been stored before."""

    id: UUID
    room_id: UUID
    user_id: UUID
    seq: int
    type: str
    text: str
    created_at: datetime
    dup: bool


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """`seq` of the room's event, or none when nothing had to change."""

    seq: int | None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """`ep` and `seq` are the room's position when the page was read: resume a socket from there."""

    items: list[dict[str, Any]]
    ep: str
    seq: int
    next_cursor: str | None


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    edit_version: int
    text: str
    replaced_at: datetime


class RevisionList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first; what the message says now is not among them."""

    items: list[Revision]


class MessageRoutes(Controller):
    path = "/api/v1/chat"

    @post("/rooms/{room_id:uuid}/messages", operation_id="PostMessage", policy=WRITE)
    async def post_message(
        self,
        room_id: FromPath[UUID],
        data: JSONBody[NewMessage],
        posting: NamedDependency[Posting],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Posted:
        return await _post(posting, principal, room_id, data, idempotency_key)

    @post("/messages", operation_id="PostMessageInRoom", policy=WRITE)
    async def post_message_in_room(
        self,
        data: JSONBody[NewMessageInRoom],
        posting: NamedDependency[Posting],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Posted:
        """The same as PostMessage with the room in the body."""
        return await _post(posting, principal, data.room_id, data, idempotency_key)

    @get("/rooms/{room_id:uuid}/messages", operation_id="ListMessages", policy=READ)
    async def list_messages(
        self,
        room_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        before_seq: SeqOrNone = None,
        limit: Limit = 50,
    ) -> Response[MessagePage]:
        async with db.read_once() as tx:
            page = await operations.read_history(
                tx, principal, room_id, before_seq=before_seq, limit=limit, now=recording.now()
            )
        return message_page(page, limit)

    @get(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}/replies",
        operation_id="ListReplies",
        policy=READ,
    )
    async def list_replies(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
        after_seq: Seq = 0,
        limit: Limit = 50,
    ) -> Response[MessagePage]:
        async with db.read_once() as tx:
            page = await operations.read_replies(
                tx,
                principal,
                room_id,
                message_id,
                after_seq=after_seq,
                limit=limit,
                now=recording.now(),
            )
        return message_page(page, limit)

    @get(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}/revisions",
        operation_id="ListRevisions",
        policy=READ,
    )
    async def list_revisions(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> RevisionList:
        async with db.read() as tx:
            rows = await operations.read_revisions(
                tx, principal, room_id, message_id, now=recording.now()
            )
        return RevisionList(items=[msgspec.convert(row.model_dump(), Revision) for row in rows])

    @patch(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}",
        operation_id="EditMessage",
        policy=WRITE,
    )
    async def edit_message(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[NewText],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Changed:
        async with db.begin() as tx:
            seq = await operations.edit_message(
                tx, recording, principal, room_id, message_id, text=data.text
            )
        return Changed(seq=seq)

    @delete(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}",
        operation_id="DeleteMessage",
        policy=WRITE,
    )
    async def delete_message(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> None:
        async with db.begin() as tx:
            await operations.delete_message(tx, recording, principal, room_id, message_id)

    @put(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}/reactions/{emoji:str}",
        operation_id="AddReaction",
        policy=WRITE,
    )
    async def add_reaction(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        emoji: FromPath[str],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Changed:
        async with db.begin() as tx:
            seq = await operations.react(tx, recording, principal, room_id, message_id, emoji=emoji)
        return Changed(seq=seq)

    @delete(
        "/rooms/{room_id:uuid}/messages/{message_id:uuid}/reactions/{emoji:str}",
        operation_id="RemoveReaction",
        policy=WRITE,
        status_code=200,
    )
    async def remove_reaction(
        self,
        room_id: FromPath[UUID],
        message_id: FromPath[UUID],
        emoji: FromPath[str],
        db: NamedDependency[Database],
        recording: NamedDependency[Recording],
        principal: NamedDependency[Principal],
    ) -> Changed:
        async with db.begin() as tx:
            seq = await operations.unreact(
                tx, recording, principal, room_id, message_id, emoji=emoji
            )
        return Changed(seq=seq)


async def _post(
    posting: Posting,
    principal: Principal,
    room_id: UUID,
    data: NewMessage,
    idempotency_key: str | None,
) -> Posted:
    with measured_send():
        draft = Draft(
            principal=principal,
            room_id=room_id,
            cid=data.cid or idempotency_key or str(uuid7()),
            text=data.text,
            parent_id=data.parent_id,
        )
        sent = await posting.send(draft)
    return _posted(sent, principal, data.text)


def _posted(sent: Sent, principal: Principal, text: str) -> Posted:
    return Posted(
        id=sent.message_id,
        room_id=sent.room_id,
        user_id=principal.require_user(),
        seq=sent.seq,
        type="TEXT",
        text=text,
        created_at=sent.created_at,
        dup=sent.dup,
    )


def message_page(page: Page, limit: int) -> Response[MessagePage]:
    """PostgreSQL has written the items as JSON already; they pass through as they are."""
    content: Any = msgspec.json.encode(
        {
            "items": [item.shown for item in page.items],
            "ep": page.position.epoch,
            "seq": page.position.seq,
            "next_cursor": str(page.items[-1].seq) if len(page.items) == limit else None,
        }
    )
    return Response(content, media_type="application/json")
