"""What can happen to a listener's profile: made from a registration, edited by its owner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from seda_contracts.events.user import UserProfileCreated, UserProfileUpdated, UserState
from seda_messaging import Outbox
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from user_artist import names
from user_artist.addresses import public_address
from user_artist.tables import ProfileRow
from user_artist.users import store
from user_artist.users.domain import (
    DEFAULT_DISPLAY_NAME,
    HandleTaken,
    ProfilePending,
    UserNotFound,
    chosen_handle,
    handle_candidates,
    skeleton,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """What these operations need from outside: where events go and what time it is."""

    outbox: Outbox
    now: Callable[[], datetime]


class ProfileEdit(msgspec.Struct, frozen=True, kw_only=True):
    """Only what is set changes; null clears what may be empty."""

    display_name: str | UnsetType = UNSET
    handle: str | UnsetType = UNSET
    bio: str | UnsetType | None = UNSET
    avatar_url: str | UnsetType | None = UNSET


async def create_profile(
    tx: AsyncSession, profiles: Profiles, user_id: UUID, *, display_name: str | None
) -> None:
    """Make the profile of a new account; a profile that exists is left as it is."""
    if await store.profile(tx, user_id) is not None:
        return
    shown = names.salvaged_line(display_name or "") or DEFAULT_DISPLAY_NAME
    now = profiles.now()
    for handle in handle_candidates(display_name, user_id):
        if await store.add_profile(tx, user_id=user_id, handle=handle, display_name=shown, now=now):
            break
    else:
        # The last candidate holds 80 bits of the id's hash: only a concurrent delivery of the
        # same registration gets here, and that one has made the profile.
        return
    created = UserProfileCreated(user_id=user_id, version=1, created_at=now)
    await profiles.outbox.add(tx, created)
    await profiles.outbox.add(
        tx,
        UserState(user_id=user_id, version=1, handle=handle, display_name=shown),
    )


async def own_profile(tx: AsyncSession, user_id: UUID) -> ProfileRow | None:
    """None while the registration is still on its way here."""
    return await store.profile(tx, user_id)


async def public_profile(tx: AsyncSession, user_id: UUID) -> ProfileRow:
    """Raises UserNotFound."""
    row = await store.profile(tx, user_id)
    if row is None:
        raise UserNotFound
    return row


async def edit_profile(
    tx: AsyncSession, profiles: Profiles, *, user_id: UUID, edit: ProfileEdit
) -> ProfileRow:
    """Raises ProfilePending, HandleTaken, and what the fields' own rules raise."""
    row = await store.profile_for_edit(tx, user_id)
    if row is None:
        raise ProfilePending
    changed = _apply(row, edit)
    if not changed:
        return row
    row.version += 1
    row.updated_at = profiles.now()
    try:
        await tx.flush()
    except IntegrityError as error:
        raise HandleTaken from error
    updated = UserProfileUpdated(
        user_id=row.id, version=row.version, changed=changed, updated_at=row.updated_at
    )
    await profiles.outbox.add(tx, updated)
    await profiles.outbox.add(tx, user_state(row))
    return row


def _apply(row: ProfileRow, edit: ProfileEdit) -> list[str]:
    """Put the edit's normal forms into the row; the names of what really changed."""
    wanted: dict[str, str | None] = {}
    if edit.display_name is not UNSET:
        wanted["display_name"] = names.single_line(edit.display_name)
    if edit.handle is not UNSET:
        wanted["handle"] = chosen_handle(edit.handle)
    if edit.bio is not UNSET:
        wanted["bio"] = names.paragraphs(edit.bio) if edit.bio else None
    if edit.avatar_url is not UNSET:
        wanted["avatar_url"] = public_address(edit.avatar_url).href if edit.avatar_url else None
    changed = [field for field, value in wanted.items() if getattr(row, field) != value]
    for field in changed:
        setattr(row, field, wanted[field])
    row.handle_skeleton = skeleton(row.handle)
    return changed


def user_state(row: ProfileRow) -> UserState:
    return UserState(
        user_id=row.id,
        version=row.version,
        handle=row.handle,
        display_name=row.display_name,
        avatar_url=row.avatar_url,
    )
