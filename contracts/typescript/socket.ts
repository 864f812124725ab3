// Written by `make generate` from contracts/src; a test compares. Fields are only added within a
// major version, so ignore what you do not know.

/** A UUID in its canonical text form. */
export type Uuid = string;
/** An RFC 3339 time with its offset. */
export type Timestamp = string;

export interface AuthExpiring {
  readonly op: "auth.expiring";
  readonly in_ms: number;
}

/** Whose words they are. Names are absent until the profile is known. */
export interface Author {
  readonly user_id: Uuid;
  readonly handle?: string | null;
  readonly display_name?: string | null;
  readonly avatar_url?: string | null;
  readonly artist?: Badge | null;
  readonly is_bot?: boolean;
}

export interface Badge {
  readonly artist_id: Uuid;
  readonly artist_name: string;
  readonly verified: boolean;
}

/** These messages, or what somebody said since then: at most 100 at once. */
export interface BulkDelete {
  readonly reason: string;
  readonly message_ids?: readonly Uuid[];
  readonly user_id?: Uuid | null;
  readonly since?: Timestamp | null;
}

/** `more` says that there was more than one command deletes. */
export interface BulkDeletedOk {
  readonly deleted: readonly Uuid[];
  readonly more: boolean;
}

/** What a link leads to. Of two for one link, the higher version counts. */
export interface Card {
  readonly link_id: Uuid;
  readonly url: string;
  readonly card_version: number;
  readonly card: Readonly<Record<string, unknown>>;
}

export interface CardAttached {
  readonly message_id: Uuid;
  readonly link_id: Uuid;
  readonly card_version: number;
  readonly url?: string | null;
  readonly card?: Readonly<Record<string, unknown>> | null;
}

export interface CardUnresolvable {
  readonly message_id: Uuid;
  readonly link_id: Uuid;
  readonly reason_code: string;
}

/** The room's number of the change; null when nothing had to change. */
export interface ChangedOk {
  readonly seq: number | null;
}

/** How far a client has read one room. A foreign epoch makes `seq` worthless. */
export interface Cursor {
  readonly ep: string;
  readonly seq: number;
}

export interface DeleteMessage {
  readonly message_id: Uuid;
}

export interface Drain {
  readonly op: "drain";
  readonly in_ms: number;
  readonly resume?: boolean;
}

export interface EditMessage {
  readonly message_id: Uuid;
  readonly text: string;
}

export interface EphemeralFrame {
  readonly op: "ep";
  readonly room: Uuid;
  readonly t: string;
  readonly d: unknown;
}

/** An entry of a room's log as it crosses the wire, live and replayed alike. */
export interface EventFrame {
  readonly op: "ev";
  readonly room: Uuid;
  readonly ep: string;
  readonly seq: number;
  readonly acl: number;
  readonly t: string;
  readonly ts: number;
  readonly d: Readonly<Record<string, unknown>>;
}

export interface Failure {
  readonly code: string;
  readonly retry: "after_refresh" | "later" | "never";
  readonly msg?: string;
  readonly retry_ms?: number | null;
}

/** `t0` is the client's clock in milliseconds, given back so it can compute the offset. */
export interface Heartbeat {
  readonly n?: number;
  readonly t0?: number;
}

export interface HeartbeatOk {
  readonly op: "hb.ok";
  readonly id: number;
  readonly n: number;
  readonly t0: number;
  readonly t1: number;
  readonly t2: number;
  readonly heads: Readonly<Record<string, number>>;
}

/** Exactly one of `ticket` (one use, from the gateway) and `token` (an access token). `v` is the version the client speaks; another than the server's is closed with 4502. */
export interface Hello {
  readonly ticket?: string | null;
  readonly token?: string | null;
  readonly resume?: Resume;
  readonly v?: number;
}

/** The client read too slowly: events after `from` were left out and are in the room's log. */
export interface Lagged {
  readonly op: "lagged";
  readonly room: Uuid;
  readonly from: number;
}

export interface Link {
  readonly link_id: Uuid;
  readonly url: string;
}

/** Everything after `head` of this room arrives on this socket from here on. */
export interface Live {
  readonly op: "live";
  readonly room: Uuid;
  readonly head: number;
}

export interface MarkRead {
  readonly seq: number;
}

/** Without `until` for good. */
export interface MemberBanned {
  readonly user_id: Uuid;
  readonly until?: string | null;
}

export interface MemberGone {
  readonly user_id: Uuid;
}

/** A mute outlives leaving: `muted_until` is that of who comes back. */
export interface MemberJoined {
  readonly user_id: Uuid;
  readonly role: "member" | "moderator" | "owner";
  readonly author: Author;
  readonly joined_at?: string | null;
  readonly muted_until?: string | null;
}

export interface MemberRole {
  readonly user_id: Uuid;
  readonly role: "member" | "moderator" | "owner";
}

/** `parent_id` is the first message of the thread it answers in. `text` is absent when it was deleted since. */
export interface MessageCreated {
  readonly id: Uuid;
  readonly author_id: Uuid;
  readonly type: string;
  readonly cid: string;
  readonly parent_id: Uuid | null;
  readonly edit_version: number;
  readonly created_at: string;
  readonly author: Author;
  readonly mentions?: readonly Uuid[];
  readonly text?: string | null;
  readonly links?: readonly Link[];
  readonly cards?: readonly Card[];
}

/** A tombstone stays in its place; reactions, cards, revisions, mentions and pin are gone. */
export interface MessageDeleted {
  readonly message_id: Uuid;
  readonly deleted_by: Uuid;
  readonly deleted_at?: string | null;
}

/** Text, links, cards and mentions are those of the message from now on. */
export interface MessageEdited {
  readonly message_id: Uuid;
  readonly edit_version: number;
  readonly edited_at: string;
  readonly mentions?: readonly Uuid[];
  readonly text?: string | null;
  readonly links?: readonly Link[];
  readonly cards?: readonly Card[];
}

/** The newest pin is shown first. */
export interface MessagePinned {
  readonly message_id: Uuid;
  readonly by: Uuid;
  readonly pinned_at?: string | null;
}

export interface MessageUnpinned {
  readonly message_id: Uuid;
  readonly by: Uuid;
}

/** `user_id` for what is done to a person, `message_id` for a deletion, `until` for a mute or a ban, `seconds` for slow mode (0 ends it). */
export interface Moderate {
  readonly reason: string;
  readonly user_id?: Uuid | null;
  readonly message_id?: Uuid | null;
  readonly until?: Timestamp | null;
  readonly seconds?: number | null;
}

export interface ModeratedOk {
  readonly action: Uuid;
}

/** A mute, its end, or the end of a ban. The reason is for moderators. */
export interface ModerationNote {
  readonly kind: string;
  readonly user_id: Uuid;
  readonly until?: string | null;
}

export interface Nothing {
}

/** Something about this person that is no room's: `muted` or `unmuted` everywhere. */
export interface Notice {
  readonly op: "notice";
  readonly code: string;
  readonly until?: string | null;
}

/** Moderators keep a message at hand. */
export interface Pin {
  readonly message_id: Uuid;
}

/** The state `presence` of a room. `whole` replaces what a client has, else it is a change. A room too full to name everybody is not `complete`: `count` is right and `people` a sample. */
export interface PresenceState {
  readonly count: number;
  readonly people: readonly Present[];
  readonly whole: boolean;
  readonly complete: boolean;
}

export interface Present {
  readonly user_id: Uuid;
  readonly status: "idle" | "offline" | "online";
}

export interface React {
  readonly message_id: Uuid;
  readonly emoji: string;
}

/** `count` is how many people have reacted so after the change, `first_at` since when: the oldest is shown first. */
export interface ReactionChanged {
  readonly message_id: Uuid;
  readonly user_id: Uuid;
  readonly emoji: string;
  readonly action: "added" | "removed";
  readonly count: number;
  readonly first_at?: string | null;
}

export interface Ready {
  readonly op: "ready";
  readonly id: number;
  readonly conn: Uuid;
  readonly user: Uuid;
  readonly rooms: readonly RoomReady[];
  readonly exp?: number | null;
}

export interface Refresh {
  readonly token: string;
}

/** When the new token ends, in Unix milliseconds. */
export interface RefreshedOk {
  readonly exp: number | null;
}

/** Ask the moderators to look at a message. */
export interface Report {
  readonly message_id: Uuid;
  readonly category: "harassment" | "hate" | "other" | "sexual" | "spam" | "violence";
  readonly comment?: string;
}

export interface ReportedOk {
  readonly report: Uuid;
}

export interface Resume {
  readonly rooms?: Readonly<Record<string, Cursor>>;
}

export interface RoomCreated {
  readonly name: string;
  readonly owner_id: Uuid;
  readonly description?: string;
  readonly is_private?: boolean;
  readonly created_at?: string | null;
}

/** `n` events follow when `result` is `replay`. `snapshot` says: read history over HTTP. */
export interface RoomReady {
  readonly room: Uuid;
  readonly result: "current" | "gone" | "replay" | "snapshot";
  readonly ep?: string;
  readonly head?: number;
  readonly n?: number;
}

/** The fields that are others now, and no other. */
export interface RoomUpdated {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly archived?: boolean | null;
  readonly locked?: boolean | null;
  readonly slow_mode_seconds?: number | null;
}

/** `cid` is the client's own id: sending it again returns the first message. */
export interface SendMessage {
  readonly cid: string;
  readonly text: string;
  readonly parent_id?: Uuid | null;
}

/** The message is committed. `dup` says that it had been before, by the same `cid`. */
export interface SentOk {
  readonly msg: Uuid;
  readonly seq: number;
  readonly dup: boolean;
}

/** Of this device. `invisible` does not count; a person is idle when all other devices are. */
export interface SetPresence {
  readonly status: "idle" | "invisible" | "online";
}

export interface StateFrame {
  readonly op: "st";
  readonly room: Uuid;
  readonly t: string;
  readonly rev: number;
  readonly d: unknown;
}

/** With `ep` and `seq` the missed events come first; without, only what happens from now on. */
export interface Subscribe {
  readonly ep?: string | null;
  readonly seq?: number | null;
}

export interface Typing {
}

export interface TypingHint {
  readonly user_id: Uuid;
}

export interface Unpin {
  readonly message_id: Uuid;
}

export interface Unreact {
  readonly message_id: Uuid;
  readonly emoji: string;
}

/** The state `unread` of one person in one room, to all their devices. Counts stop at 100. */
export interface UnreadState {
  readonly read_seq: number;
  readonly unread: number;
  readonly mentions: number;
  readonly first_unread_seq?: number | null;
}

export interface Unsub {
  readonly op: "unsub";
  readonly room: Uuid;
  readonly reason: string;
}

export interface Unsubscribe {
}

export interface Welcome {
  readonly op: "welcome";
  readonly hb_ms: number;
  readonly hb_grace_ms: number;
  readonly limits: Readonly<Record<string, number>>;
  readonly server_time: number;
  readonly build: string;
}

/** What stands in `d` of each command. */
export interface Commands {
  "hello": Hello;
  "auth.refresh": Refresh;
  "room.sub": Subscribe;
  "room.unsub": Unsubscribe;
  "msg.send": SendMessage;
  "msg.edit": EditMessage;
  "msg.delete": DeleteMessage;
  "react.add": React;
  "react.remove": Unreact;
  "msg.report": Report;
  "mod.mute": Moderate;
  "mod.unmute": Moderate;
  "mod.kick": Moderate;
  "mod.ban": Moderate;
  "mod.unban": Moderate;
  "mod.delete": Moderate;
  "mod.bulk_delete": BulkDelete;
  "mod.slow": Moderate;
  "mod.lock": Moderate;
  "mod.unlock": Moderate;
  "pin.add": Pin;
  "pin.remove": Unpin;
  "typing": Typing;
  "presence.set": SetPresence;
  "read.mark": MarkRead;
  "hb": Heartbeat;
}

/** What stands in `ok` of each reply. */
export interface Replies {
  "auth.refresh": RefreshedOk;
  "room.sub": RoomReady;
  "room.unsub": Nothing;
  "msg.send": SentOk;
  "msg.edit": ChangedOk;
  "msg.delete": ChangedOk;
  "msg.report": ReportedOk;
  "react.add": ChangedOk;
  "react.remove": ChangedOk;
  "pin.add": ChangedOk;
  "pin.remove": ChangedOk;
  "mod.mute": ModeratedOk;
  "mod.unmute": ModeratedOk;
  "mod.kick": ModeratedOk;
  "mod.ban": ModeratedOk;
  "mod.unban": ModeratedOk;
  "mod.delete": ModeratedOk;
  "mod.bulk_delete": BulkDeletedOk;
  "mod.slow": ModeratedOk;
  "mod.lock": ModeratedOk;
  "mod.unlock": ModeratedOk;
  "typing": Nothing;
  "presence.set": Nothing;
  "read.mark": ChangedOk;
}

/** What stands in `d` of each event. */
export interface Events {
  "room.created": RoomCreated;
  "room.updated": RoomUpdated;
  "member.joined": MemberJoined;
  "member.left": MemberGone;
  "member.kicked": MemberGone;
  "member.banned": MemberBanned;
  "member.role": MemberRole;
  "message.created": MessageCreated;
  "message.edited": MessageEdited;
  "message.deleted": MessageDeleted;
  "message.pinned": MessagePinned;
  "message.unpinned": MessageUnpinned;
  "reaction.changed": ReactionChanged;
  "card.attached": CardAttached;
  "card.unresolvable": CardUnresolvable;
  "mod.action": ModerationNote;
}

/** What stands in `d` of each state. */
export interface States {
  "author": Author;
  "presence": PresenceState;
  "unread": UnreadState;
}

/** What stands in `d` of each ephemeral. */
export interface Ephemerals {
  "typing": TypingHint;
}

/** What else the server says, by `op`. */
export interface Controls {
  "welcome": Welcome;
  "ready": Ready;
  "live": Live;
  "lagged": Lagged;
  "unsub": Unsub;
  "notice": Notice;
  "drain": Drain;
  "auth.expiring": AuthExpiring;
  "hb.ok": HeartbeatOk;
}

export const SUBPROTOCOL = "seda.v1.json";

export const VERSION = 1;

/** Every type of event that this release knows. */
export const EVENT_TYPES = {
  "room.created": true,
  "room.updated": true,
  "member.joined": true,
  "member.left": true,
  "member.kicked": true,
  "member.banned": true,
  "member.role": true,
  "message.created": true,
  "message.edited": true,
  "message.deleted": true,
  "message.pinned": true,
  "message.unpinned": true,
  "reaction.changed": true,
  "card.attached": true,
  "card.unresolvable": true,
  "mod.action": true,
} as const satisfies Record<keyof Events, true>;

/** Whether a refused command may be tried again. */
export const ERRORS = {
  "bad_request": "never",
  "unknown_op": "never",
  "too_large": "never",
  "unauthenticated": "after_refresh",
  "token_expired": "after_refresh",
  "forbidden": "never",
  "not_member": "never",
  "banned": "never",
  "muted": "later",
  "slow_mode": "later",
  "rate_limited": "later",
  "room_locked": "never",
  "not_found": "never",
  "conflict": "never",
  "cid_conflict": "never",
  "cursor_too_old": "never",
  "epoch_changed": "never",
  "unavailable": "later",
  "internal": "later",
} as const satisfies Record<string, Failure["retry"]>;

export type Reaction = "resume" | "resume_with_new_ticket" | "stop";

export interface Close {
  readonly meaning: string;
  readonly reaction: Reaction;
  readonly delay_ms: number;
}

/** What a close code asks of a client. The range decides about those that are
 * not here: 4500 to 4999 are final. */
export const CLOSES: Readonly<Record<number, Close>> = {
  1000: { meaning: "the client ended it", reaction: "stop", delay_ms: 0 },
  1001: { meaning: "the client, or its page, went away", reaction: "resume", delay_ms: 0 },
  1002: { meaning: "a frame broke the WebSocket protocol", reaction: "stop", delay_ms: 0 },
  1003: { meaning: "a binary message", reaction: "stop", delay_ms: 0 },
  1006: { meaning: "the connection broke without a word", reaction: "resume", delay_ms: 0 },
  1007: { meaning: "a text was not UTF-8", reaction: "stop", delay_ms: 0 },
  1009: { meaning: "a message was too large", reaction: "stop", delay_ms: 0 },
  1011: { meaning: "a fault of the server", reaction: "resume", delay_ms: 0 },
  1012: { meaning: "the process restarts", reaction: "resume", delay_ms: 0 },
  1013: { meaning: "read too slowly for too long, or the server cannot admit anybody now", reaction: "resume", delay_ms: 0 },
  4000: { meaning: "a fault nobody foresaw", reaction: "resume", delay_ms: 0 },
  4001: { meaning: "no hello in time", reaction: "resume", delay_ms: 0 },
  4003: { meaning: "ticket or token expired, used or not valid", reaction: "resume_with_new_ticket", delay_ms: 0 },
  4008: { meaning: "too slow even after `lagged`", reaction: "resume", delay_ms: 0 },
  4012: { meaning: "drained, at the moment `drain` named", reaction: "resume", delay_ms: 0 },
  4029: { meaning: "far above the rate", reaction: "resume", delay_ms: 30000 },
  4408: { meaning: "two heartbeats missed", reaction: "resume", delay_ms: 0 },
  4500: { meaning: "no command of this protocol", reaction: "stop", delay_ms: 0 },
  4501: { meaning: "the session was revoked", reaction: "stop", delay_ms: 0 },
  4502: { meaning: "no version of the protocol that is spoken here", reaction: "stop", delay_ms: 0 },
  4503: { meaning: "more than the allowed sockets: this was the oldest", reaction: "stop", delay_ms: 0 },
  4504: { meaning: "the account is suspended", reaction: "stop", delay_ms: 0 },
};
