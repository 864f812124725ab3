"""HTTP of artist profiles and of the search over them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from seda_db import Database
from seda_identity import Policy, Principal, Role

from user_artist.addresses import ADDRESS_CHARACTERS_MAX
from user_artist.artists import operations
from user_artist.artists.domain import (
    SEARCH_CHARACTERS_MAX,
    SEARCH_PAGE_DEFAULT,
    SEARCH_PAGE_MAX,
)
from user_artist.artists.operations import ArtistEdit, Artists
from user_artist.names import BIO_CHARACTERS_MAX, DISPLAY_NAME_CHARACTERS_MAX
from user_artist.tables import ArtistRow

Name = Annotated[str, Meta(min_length=1, max_length=DISPLAY_NAME_CHARACTERS_MAX)]
Bio = Annotated[str, Meta(max_length=BIO_CHARACTERS_MAX)]
Link = Annotated[str, Meta(max_length=ADDRESS_CHARACTERS_MAX)]


class Artist(msgspec.Struct, frozen=True, kw_only=True):
    """An artist profile as anyone sees it."""

    id: UUID
    user_id: UUID
    artist_name: str
    bio: str | None
    website_url: str | None
    spotify_url: str | None
    soundcloud_url: str | None
    bandcamp_url: str | None
    verified: bool
    verified_at: datetime | None
    version: int
    created_at: datetime


class ArtistPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Artist]
    next_cursor: str | None


class NewArtist(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    artist_name: Name
    bio: Bio | None = None
    website_url: Link | None = None
    spotify_url: Link | None = None
    soundcloud_url: Link | None = None
    bandcamp_url: Link | None = None


class ArtistChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields left out stay as they are; null empties the ones that may be empty."""

    artist_name: Name | UnsetType = UNSET
    bio: Bio | UnsetType | None = UNSET
    website_url: Link | UnsetType | None = UNSET
    spotify_url: Link | UnsetType | None = UNSET
    soundcloud_url: Link | UnsetType | None = UNSET
    bandcamp_url: Link | UnsetType | None = UNSET


class ArtistRoutes(Controller):
    path = "/api/v1/artists"
    tags = ("artists",)

    @post("/", operation_id="CreateArtist", policy=Policy("artist:create"))
    async def create_artist(
        self,
        data: JSONBody[NewArtist],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        artists: NamedDependency[Artists],
    ) -> Artist:
        edit = ArtistEdit(**msgspec.structs.asdict(data))
        async with db.begin() as tx:
            row = await operations.create_artist(
                tx, artists, user_id=principal.require_user(), edit=edit
            )
        return _public(row)

    @get(
        "/",
        operation_id="SearchArtists",
        policy=Policy("artist:read", role=Role.ANYONE, limit="search"),
    )
    async def search_artists(
        self,
        db: NamedDependency[Database],
        q: Annotated[str, QueryParameter(max_length=SEARCH_CHARACTERS_MAX)] = "",
        verified: FromQuery[bool] = True,
        limit: Annotated[int, QueryParameter(ge=1, le=SEARCH_PAGE_MAX)] = SEARCH_PAGE_DEFAULT,
        cursor: FromQuery[str | None] = None,
    ) -> ArtistPage:
        """Artists whose name contains `q`, in name order; unverified ones only when asked for."""
        async with db.read() as tx:
            page = await operations.search_artists(
                tx, text=q, verified_only=verified, limit=limit, cursor=cursor
            )
        return ArtistPage(
            items=[_public(row) for row in page.artists], next_cursor=page.next_cursor
        )

    @get("/me", operation_id="GetMyArtist", policy=Policy("artist:read_own"))
    async def get_my_artist(
        self, principal: NamedDependency[Principal], db: NamedDependency[Database]
    ) -> Artist:
        async with db.read() as tx:
            return _public(await operations.own_artist(tx, principal.require_user()))

    @get(
        "/{artist_id:uuid}",
        operation_id="GetArtist",
        policy=Policy("artist:read", role=Role.ANYONE),
    )
    async def get_artist(self, artist_id: FromPath[UUID], db: NamedDependency[Database]) -> Artist:
        async with db.read() as tx:
            return _public(await operations.public_artist(tx, artist_id))

    @patch("/{artist_id:uuid}", operation_id="EditArtist", policy=Policy("artist:edit_own"))
    async def edit_artist(
        self,
        artist_id: FromPath[UUID],
        data: JSONBody[ArtistChange],
        principal: NamedDependency[Principal],
        db: NamedDependency[Database],
        artists: NamedDependency[Artists],
    ) -> Artist:
        edit = ArtistEdit(**msgspec.structs.asdict(data))
        async with db.begin() as tx:
            row = await operations.edit_artist(
                tx, artists, artist_id=artist_id, user_id=principal.require_user(), edit=edit
            )
        return _public(row)


def _public(row: ArtistRow) -> Artist:
    return msgspec.convert(row, Artist, from_attributes=True)
