"""A page of history as an ORM reads it: mapped classes, `selectinload` for what hangs on a message.

It maps the columns it needs of our own tables. It is spared what our page also has: cards, pins and
mentions. `selectinload` cannot stop after some replies, so it reads every reply of the page.
"""

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, MetaData, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    metadata = MetaData(schema="chat")


class Person(Base):
    __tablename__ = "person"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    handle: Mapped[str]
    display_name: Mapped[str]
    avatar_url: Mapped[str | None]


class Reaction(Base):
    __tablename__ = "reaction"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("chat.message.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    emoji: Mapped[str] = mapped_column(primary_key=True)
    added_at: Mapped[datetime]


class Message(Base):
    __tablename__ = "message"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    room_id: Mapped[UUID]
    seq: Mapped[int]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("chat.person.user_id"))
    type: Mapped[str]
    text: Mapped[str]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("chat.message.id"))
    edit_version: Mapped[int]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    author: Mapped[Person] = relationship()
    reactions: Mapped[list[Reaction]] = relationship(order_by=Reaction.added_at)
    replies: Mapped[list["Message"]] = relationship(order_by="Message.seq")


_LOADED = (
    selectinload(Message.author),
    selectinload(Message.reactions),
    selectinload(Message.replies).selectinload(Message.author),
    selectinload(Message.replies).selectinload(Message.reactions),
)


async def history(
    tx: AsyncSession,
    room_id: UUID,
    *,
    viewer_id: UUID,
    before_seq: int,
    limit: int,
    replies_max: int,
) -> list[dict[str, Any]]:
    query = (
        select(Message)
        .where(Message.room_id == room_id, Message.parent_id.is_(None), Message.seq < before_seq)
        .order_by(Message.seq.desc())
        .limit(limit)
        .options(*_LOADED)
    )
    return [
        {
            **_shown(message, viewer_id),
            "reply_count": len(message.replies),
            "last_reply_at": message.replies[-1].created_at if message.replies else None,
            "replies": [_shown(reply, viewer_id) for reply in message.replies[:replies_max]],
        }
        for message in await tx.scalars(query)
    ]


def _shown(message: Message, viewer_id: UUID) -> dict[str, Any]:
    by_emoji: dict[str, list[UUID]] = defaultdict(list)
    for reaction in message.reactions:
        by_emoji[reaction.emoji].append(reaction.user_id)
    return {
        "id": message.id,
        "room_id": message.room_id,
        "seq": message.seq,
        "type": message.type,
        "text": message.text,
        "parent_id": message.parent_id,
        "edit_version": message.edit_version,
        "created_at": message.created_at,
        "edited_at": message.edited_at,
        "deleted_at": message.deleted_at,
        "author_id": message.author_id,
        "author": {
            "user_id": message.author.user_id,
            "handle": message.author.handle,
            "display_name": message.author.display_name,
            "avatar_url": message.author.avatar_url,
        },
        "reactions": [
            {"emoji": emoji, "count": len(users), "mine": viewer_id in users}
            for emoji, users in by_emoji.items()
        ],
    }
