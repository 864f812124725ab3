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


class PersonSuspended(Exception):
    """Nobody acts as this person now; nothing the client could do helps."""

    def __str__(self) -> str:
        return "The account is suspended."


class RoomGone(Exception):
    """There is nothing to listen to under this id."""

    def __str__(self) -> str:
        return "There is no such room."


class TooManyComing(Exception):
    """More sockets ask to be let in than this process can look up soon."""

    retry_after_seconds = 1

    def __str__(self) -> str:
        return "Too many sockets are coming in right now."


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


class SocketsAsked(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="sockets_asked"
):
    """A process let in one more socket of this person, and asks who has the others."""

    user_id: UUID
    node: UUID


class SocketsHere(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="sockets_here"):
    """The answer to `node`."""

    user_id: UUID
    node: UUID
    ids: list[UUID]


class SocketsSurplus(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="sockets_surplus"
):
    """The oldest sockets above the limit: whoever has them closes them."""

    user_id: UUID
    ids: list[UUID]


UserNotice = (
    SessionRevokedNotice
    | RoleChangedNotice
    | SuspendedNotice
    | AttentionChanged
    | MutedEverywhere
    | SocketsAsked
    | SocketsHere
    | SocketsSurplus
)
"""A live signal to every process about one person's sockets."""
