"""Every error a caller can be told of, once, for HTTP and the socket.

HTTP takes status and code; a socket reply takes the code (`socket_failure`).
"""

from seda_db import DatabaseUnavailable
from seda_identity import IDENTITY_PROBLEMS
from seda_identity.tokens import InvalidToken, TokenExpired
from seda_runtime.problems import Problem, ProblemTable

from chat_realtime.invites.domain import InviteLifeInvalid, InviteNotFound, TooManyInvites
from chat_realtime.limits.domain import RateLimited
from chat_realtime.live.domain import (
    CursorInvalid,
    PersonSuspended,
    RoomGone,
    SessionEnded,
    TicketRefused,
    TooManyComing,
    TooManyRooms,
    TooManyStreams,
)
from chat_realtime.messages.domain import (
    Busy,
    CidConflict,
    MessageNotFound,
    NotAuthor,
    Stopping,
    TooManyReactions,
)
from chat_realtime.moderation.domain import (
    CannotModerateSelf,
    InvalidUntil,
    NothingToDelete,
    SlowModeInvalid,
)
from chat_realtime.pins.domain import TooManyPins
from chat_realtime.reports.domain import (
    CannotReportSelf,
    ReportClosed,
    ReportNotFound,
    TooManyReports,
)
from chat_realtime.rooms.domain import (
    Banned,
    InvalidText,
    Muted,
    NotMember,
    OwnerCannotLeave,
    PersonNotFound,
    RankTooLow,
    RoomLocked,
    RoomNotFound,
    SlowMode,
)
from chat_realtime.search.domain import SearchTooBroad

PROBLEMS: ProblemTable = {
    **IDENTITY_PROBLEMS,
    TokenExpired: Problem(401, "token_expired", "The token has expired."),
    InvalidToken: Problem(401, "unauthenticated", "The ticket or token is not valid."),
    TicketRefused: Problem(401, "unauthenticated", "The ticket or token is not valid."),
    SessionEnded: Problem(401, "unauthenticated", "The session was revoked."),
    CursorInvalid: Problem(400, "invalid_cursor", "A room or a cursor is malformed."),
    TooManyRooms: Problem(400, "too_large", "Too many rooms for one stream."),
    TooManyStreams: Problem(503, "busy", "Too many streams are open right now."),
    PersonSuspended: Problem(403, "banned", "The account is suspended."),
    RoomGone: Problem(404, "not_found", "There is no such room."),
    RoomNotFound: Problem(404, "not_found", "There is no such room."),
    MessageNotFound: Problem(404, "not_found", "There is no such message in this room."),
    PersonNotFound: Problem(404, "not_found", "There is no such member."),
    NotMember: Problem(403, "not_member", "Join the room first."),
    Banned: Problem(403, "banned", "You are banned from this room."),
    Muted: Problem(403, "muted", "You are muted in this room."),
    RankTooLow: Problem(403, "forbidden", "Your role in this room does not allow this."),
    NotAuthor: Problem(403, "forbidden", "Only the author may do this."),
    RoomLocked: Problem(409, "room_locked", "The room is locked or archived."),
    SlowMode: Problem(429, "slow_mode", "The room is in slow mode."),
    OwnerCannotLeave: Problem(409, "conflict", "The owner cannot leave the room."),
    CidConflict: Problem(409, "cid_conflict", "This cid was used for a different message."),
    TooManyReactions: Problem(409, "conflict", "The message has too many different reactions."),
    InviteNotFound: Problem(404, "not_found", "There is no such invite."),
    TooManyInvites: Problem(409, "conflict", "The room has too many open invites."),
    InviteLifeInvalid: Problem(422, "invalid_expires_at", "The end of the invite is not sound."),
    ReportNotFound: Problem(404, "not_found", "There is no such report."),
    ReportClosed: Problem(409, "conflict", "The report was dealt with already."),
    TooManyReports: Problem(429, "rate_limited", "Too many reports."),
    CannotReportSelf: Problem(422, "cannot_report_self", "You cannot report your own words."),
    TooManyPins: Problem(409, "conflict", "The room has too many pinned messages."),
    SearchTooBroad: Problem(422, "search_too_broad", "The search took too long."),
    InvalidText: Problem(422, "invalid_text", "The text cannot be kept as it is."),
    InvalidUntil: Problem(422, "invalid_until", "The end of the action is not sound."),
    SlowModeInvalid: Problem(422, "invalid_slow_mode", "Slow mode takes 0 to 21600 seconds."),
    NothingToDelete: Problem(422, "nothing_to_delete", "Name what is to be deleted."),
    CannotModerateSelf: Problem(422, "cannot_moderate_self", "You cannot act on yourself."),
    Busy: Problem(503, "busy", "Too many messages are on their way right now."),
    RateLimited: Problem(429, "rate_limited", "Too much in too short a time."),
    TooManyComing: Problem(503, "busy", "Too many sockets are coming in right now."),
    Stopping: Problem(503, "unavailable", "This server is about to stop."),
    DatabaseUnavailable: Problem(503, "unavailable", "The database is not reachable right now."),
}
