"""What the live side refuses and what it tells itself. Pure."""

from uuid import UUID

import msgspec

from chat_realtime.attention.domain import AttentionChanged
from chat_realtime.moderation.domain import MutedEverywhere


class TicketRefused(Exception):
    """The ticket has no id or was used before."""

    def __str__(self) -> str:
        return "The ticket was used before."


class SessionEnded(Exception):
    """The session was revoked; only signing in again helps."""

    def __str__(self) -> str:
        return "The session was revoked."


class AccountSuspended(Exception):
    """Nobody acts as this person now; nothing the client could do helps."""

    def __str__(self) -> str:
        return "The account is suspended."


class RoomGone(Exception):
    """There is nothing to listen to under this id."""

    def __str__(self) -> str:
        return "There is no such room."


class CursorInvalid(Exception):
    """Not a room and a place as this service writes them."""

    def __str__(self) -> str:
        return "A room or a cursor is malformed."


class TooManyRooms(Exception):
    def __str__(self) -> str:
        return "Too many rooms for one stream."


class TooManyStreams(Exception):
    """This process serves as many streams as it may."""

    retry_after_seconds = 5

    def __str__(self) -> str:
        return "Too many streams are open right now."


class SessionRevokedNotice(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="session_revoked"
):
    user_id: UUID
    session_id: UUID


class RoleChangedNotice(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="role_changed"
):
    user_id: UUID
    perm_version: int


class SuspendedNotice(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="suspended"):
    user_id: UUID
    perm_version: int


UserNotice = (
    SessionRevokedNotice | RoleChangedNotice | SuspendedNotice | AttentionChanged | MutedEverywhere
)
"""A live signal to every process about one person's sockets."""
