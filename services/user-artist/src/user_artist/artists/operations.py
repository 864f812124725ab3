"""What can happen to an artist profile: opened and edited by its owner, found by anyone, and given
its badge by a fact from verification.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from seda_contracts.events.artist import (
    ArtistProfileCreated,
    ArtistProfileUpdated,
    ArtistState,
    ArtistVerificationApplied,
)
from seda_contracts.events.verification import VerificationApproved
from seda_messaging import Outbox
from seda_runtime.ids import uuid7
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from user_artist import names
from user_artist.artists import store
from user_artist.artists.domain import (
    LINK_FIELDS,
    ArtistExists,
    ArtistNotFound,
    NotArtistOwner,
    SearchPosition,
    VerifiedNameFixed,
    checked_link,
    decode_cursor,
    encode_cursor,
)
from user_artist.tables import ArtistRow
from user_artist.users import store as users_store
from user_artist.users.domain import ProfilePending


@dataclass(frozen=True, slots=True, kw_only=True)
class Artists:
    """What these operations need from outside: where events go and what time it is."""

    outbox: Outbox
    now: Callable[[], datetime]


class ArtistEdit(msgspec.Struct, frozen=True, kw_only=True):
    """Only what is set changes; null clears what may be empty."""

    artist_name: str | UnsetType = UNSET
    bio: str | UnsetType | None = UNSET
    website_url: str | UnsetType | None = UNSET
    spotify_url: str | UnsetType | None = UNSET
    soundcloud_url: str | UnsetType | None = UNSET
    bandcamp_url: str | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    artists: list[ArtistRow]
    next_cursor: str | None


async def create_artist(
    tx: AsyncSession, artists: Artists, *, user_id: UUID, edit: ArtistEdit
) -> ArtistRow:
    """Raises ProfilePending, ArtistExists, and what the fields' own rules raise."""
    wanted = _normal_forms(edit)
    if await users_store.profile(tx, user_id) is None:
        raise ProfilePending
    if await store.artist_of_user(tx, user_id) is not None:
        raise ArtistExists
    now = artists.now()
    row = ArtistRow(
        id=uuid7(), user_id=user_id, version=1, created_at=now, updated_at=now, **wanted
    )
    tx.add(row)
    try:
        await tx.flush()
    except IntegrityError as error:
        raise ArtistExists from error
    created = ArtistProfileCreated(
        artist_id=row.id, user_id=user_id, version=1, links=listed_links(row), created_at=now
    )
    await artists.outbox.add(tx, created)
    await artists.outbox.add(tx, artist_state(row))
    return row


async def edit_artist(
    tx: AsyncSession, artists: Artists, *, artist_id: UUID, user_id: UUID, edit: ArtistEdit
) -> ArtistRow:
    """Raises ArtistNotFound, NotArtistOwner, VerifiedNameFixed, and what the fields raise."""
    row = await store.artist_for_edit(tx, artist_id)
    if row is None:
        raise ArtistNotFound
    if row.user_id != user_id:
        raise NotArtistOwner
    wanted = _normal_forms(edit)
    changed = [field for field, value in wanted.items() if getattr(row, field) != value]
    if row.verified and "artist_name" in changed:
        raise VerifiedNameFixed
    if not changed:
        return row
    for field in changed:
        setattr(row, field, wanted[field])
    row.version += 1
    row.updated_at = artists.now()
    updated = ArtistProfileUpdated(
        artist_id=row.id,
        user_id=user_id,
        version=row.version,
        changed=[field for field in changed if field != "name_key"],
        links=listed_links(row),
        updated_at=row.updated_at,
    )
    await artists.outbox.add(tx, updated)
    await artists.outbox.add(tx, artist_state(row))
    return row


async def apply_verification(
    tx: AsyncSession, artists: Artists, approval: VerificationApproved
) -> None:
    """Give the badge, once; whatever order or number the approvals come in. Raises ArtistNotFound.

    An approval names the person it was given to: it never marks a profile of somebody else.
    """
    row = await store.artist_for_edit(tx, approval.artist_id)
    if row is None or row.user_id != approval.user_id:
        raise ArtistNotFound
    if row.verified:
        return
    row.verified = True
    row.verified_at = approval.decided_at
    row.version += 1
    row.updated_at = artists.now()
    applied = ArtistVerificationApplied(
        artist_id=row.id,
        user_id=row.user_id,
        version=row.version,
        verified=True,
        verified_at=row.verified_at,
    )
    await artists.outbox.add(tx, applied)
    await artists.outbox.add(tx, artist_state(row))


async def public_artist(tx: AsyncSession, artist_id: UUID) -> ArtistRow:
    """Raises ArtistNotFound."""
    row = await store.artist(tx, artist_id)
    if row is None:
        raise ArtistNotFound
    return row


async def own_artist(tx: AsyncSession, user_id: UUID) -> ArtistRow:
    """Raises ArtistNotFound."""
    row = await store.artist_of_user(tx, user_id)
    if row is None:
        raise ArtistNotFound
    return row


async def search_artists(
    tx: AsyncSession, *, text: str, verified_only: bool, limit: int, cursor: str | None
) -> SearchPage:
    """One page in name order. Raises CursorRefused."""
    # PostgreSQL text holds no NUL; no name does either, so dropping it changes no answer.
    name_key = names.search_key(text.replace("\x00", "").strip())
    after = None
    if cursor is not None:
        after = decode_cursor(cursor, search=name_key, verified_only=verified_only)
    found = await store.search(
        tx, name_key=name_key, verified_only=verified_only, after=after, limit=limit + 1
    )
    page = found[:limit]
    if len(found) <= limit:
        return SearchPage(artists=page, next_cursor=None)
    last = SearchPosition(name_key=page[-1].name_key, artist_id=page[-1].id)
    next_cursor = encode_cursor(last, search=name_key, verified_only=verified_only)
    return SearchPage(artists=page, next_cursor=next_cursor)


def _normal_forms(edit: ArtistEdit) -> dict[str, Any]:
    """Column values of what the edit sets."""
    wanted: dict[str, Any] = {}
    if edit.artist_name is not UNSET:
        name = names.single_line(edit.artist_name)
        wanted |= {"artist_name": name, "name_key": names.search_key(name)}
    if edit.bio is not UNSET:
        wanted["bio"] = names.paragraphs(edit.bio) if edit.bio else None
    for field in LINK_FIELDS:
        link = getattr(edit, field)
        if link is not UNSET:
            wanted[field] = checked_link(field, link) if link else None
    return wanted


def listed_links(row: ArtistRow) -> list[str]:
    """The pages the artist listed, in the order of their fields."""
    return [link for field in LINK_FIELDS if (link := getattr(row, field)) is not None]


def artist_state(row: ArtistRow) -> ArtistState:
    return ArtistState(
        artist_id=row.id,
        user_id=row.user_id,
        version=row.version,
        artist_name=row.artist_name,
        verified=row.verified,
    )
