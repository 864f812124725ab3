"""HTTP of blocks. A list is its owner's alone."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from seda_db import Database
from seda_identity import Policy, Principal

from user_artist.blocks import operations
from user_artist.blocks.store import blocked
from user_artist.users.operations import Profiles

WRITE = Policy("user:edit_own")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    since: datetime


class BlockList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Block]
    next_cursor: str | None


class BlockRoutes(Controller):
    path = "/api/v1/users/me/blocks"
    tags = ("users",)

    @get(operation_id="ListBlocks", policy=Policy("user:read_own"))
    async def list_blocks(
        self,
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
        cursor: FromQuery[UUID | None] = None,
    ) -> BlockList:
        """Whom the caller has blocked: clients hide what they say."""
        async with db.read() as tx:
            rows = await blocked(tx, principal.require_user(), after_id=cursor, limit=limit)
        return BlockList(
            items=[Block(user_id=row.blocked_id, since=row.changed_at) for row in rows],
            next_cursor=str(rows[-1].blocked_id) if len(rows) == limit else None,
        )

    @put("/{user_id:uuid}", operation_id="BlockUser", policy=WRITE, status_code=204)
    async def block_user(
        self,
        user_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        profiles: NamedDependency[Profiles],
    ) -> None:
        async with db.begin() as tx:
            await operations.block(
                tx, profiles, user_id=principal.require_user(), blocked_id=user_id
            )

    @delete("/{user_id:uuid}", operation_id="UnblockUser", policy=WRITE)
    async def unblock_user(
        self,
        user_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        profiles: NamedDependency[Profiles],
    ) -> None:
        async with db.begin() as tx:
            await operations.unblock(
                tx, profiles, user_id=principal.require_user(), blocked_id=user_id
            )
