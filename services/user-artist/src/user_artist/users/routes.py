"""HTTP of listeners' profiles. No answer here ever holds an e-mail address."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType
from seda_db import Database
from seda_identity import Policy, Principal, Role

from user_artist.addresses import ADDRESS_CHARACTERS_MAX
from user_artist.names import BIO_CHARACTERS_MAX, DISPLAY_NAME_CHARACTERS_MAX
from user_artist.tables import ProfileRow
from user_artist.users import operations
from user_artist.users.domain import HANDLE_CHARACTERS_MAX, HANDLE_CHARACTERS_MIN
from user_artist.users.operations import ProfileEdit, Profiles


class PendingProfile(msgspec.Struct, frozen=True, kw_only=True, tag="pending", tag_field="profile"):
    """The account is there, its profile is being made: ask again soon."""

    id: UUID


class MyProfile(msgspec.Struct, frozen=True, kw_only=True, tag="ready", tag_field="profile"):
    id: UUID
    handle: str
    display_name: str
    bio: str | None
    avatar_url: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class PublicProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What anyone may know of a person."""

    id: UUID
    handle: str
    display_name: str
    bio: str | None
    avatar_url: str | None


class MyProfileChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields left out stay as they are; null empties the ones that may be empty."""

    display_name: (
        Annotated[str, Meta(min_length=1, max_length=DISPLAY_NAME_CHARACTERS_MAX)] | UnsetType
    ) = UNSET
    handle: (
        Annotated[str, Meta(min_length=HANDLE_CHARACTERS_MIN, max_length=HANDLE_CHARACTERS_MAX)]
        | UnsetType
    ) = UNSET
    bio: Annotated[str, Meta(max_length=BIO_CHARACTERS_MAX)] | UnsetType | None = UNSET
    avatar_url: Annotated[str, Meta(max_length=ADDRESS_CHARACTERS_MAX)] | UnsetType | None = UNSET


class UserRoutes(Controller):
    path = "/api/v1/users"
    tags = ("users",)

    @get("/me", operation_id="GetMyProfile", policy=Policy("user:read_own"))
    async def get_my_profile(
        self, principal: NamedDependency[Principal], db: NamedDependency[Database]
    ) -> MyProfile | PendingProfile:
        user_id = principal.require_user()
        async with db.read() as tx:
            row = await operations.own_profile(tx, user_id)
        return PendingProfile(id=user_id) if row is None else _mine(row)

    @patch("/me", operation_id="EditMyProfile", policy=Policy("user:edit_own"))
    async def edit_my_profile(
        self,
        data: JSONBody[MyProfileChange],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        profiles: NamedDependency[Profiles],
    ) -> MyProfile:
        edit = ProfileEdit(
            display_name=data.display_name,
            handle=data.handle,
            bio=data.bio,
            avatar_url=data.avatar_url,
        )
        async with db.begin() as tx:
            row = await operations.edit_profile(
                tx, profiles, user_id=principal.require_user(), edit=edit
            )
        return _mine(row)

    @get(
        "/{user_id:uuid}",
        operation_id="GetUser",
        policy=Policy("user:read", role=Role.ANYONE),
    )
    async def get_user(
        self, user_id: FromPath[UUID], db: NamedDependency[Database]
    ) -> PublicProfile:
        async with db.read() as tx:
            row = await operations.public_profile(tx, user_id)
        return PublicProfile(
            id=row.id,
            handle=row.handle,
            display_name=row.display_name,
            bio=row.bio,
            avatar_url=row.avatar_url,
        )


def _mine(row: ProfileRow) -> MyProfile:
    return MyProfile(
        id=row.id,
        handle=row.handle,
        display_name=row.display_name,
        bio=row.bio,
        avatar_url=row.avatar_url,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
