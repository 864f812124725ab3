// Written by `make generate` from contracts/src; a test compares. Fields are only added within a
// major version, so ignore what you do not know.

/** A UUID in its canonical text form. */
export type Uuid = string;
/** An RFC 3339 time with its offset. */
export type Timestamp = string;

/** The platform took somebody's voice in every room until then, or gave it back. */
export interface AccountMuted {
  readonly action_id: Uuid;
  readonly user_id: Uuid;
  readonly moderator_id: Uuid;
  readonly until?: Timestamp | null;
  readonly taken_at: Timestamp;
}

export interface AccountRegistered {
  readonly user_id: Uuid;
  readonly method: "password";
  readonly registered_at: Timestamp;
  readonly display_name?: string | null;
}

export interface AccountRestored {
  readonly user_id: Uuid;
  readonly restored_by: Uuid;
  readonly restored_at: Timestamp;
  readonly perm_version: number;
}

/** Nobody acts as this person until `until`, or until it is restored. Why, the owner keeps. */
export interface AccountSuspended {
  readonly user_id: Uuid;
  readonly suspended_by: Uuid;
  readonly suspended_at: Timestamp;
  readonly perm_version: number;
  readonly until?: Timestamp | null;
}

export interface ArtistName {
  readonly name: string;
  readonly url?: string | null;
}

/** A person opened an artist profile. `links` are public pages the artist listed. */
export interface ArtistProfileCreated {
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly version: number;
  readonly links: readonly string[];
  readonly created_at: Timestamp;
}

export interface ArtistProfileUpdated {
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly version: number;
  readonly changed: readonly string[];
  readonly links: readonly string[];
  readonly updated_at: Timestamp;
}

/** What others may show of an artist. `verified` is the badge. */
export interface ArtistState {
  readonly version: number;
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly artist_name: string;
  readonly verified: boolean;
}

export interface ArtistVerificationApplied {
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly version: number;
  readonly verified: boolean;
  readonly verified_at?: Timestamp | null;
}

export interface Artwork {
  readonly url: string;
  readonly width_pixels?: number | null;
  readonly height_pixels?: number | null;
}

/** Somebody wants to hear nothing of somebody, or wants to again. The other never learns of it. The version only rises for the two, so an older word is dropped. */
export interface BlockChanged {
  readonly user_id: Uuid;
  readonly blocked_id: Uuid;
  readonly is_blocked: boolean;
  readonly version: number;
  readonly changed_at: Timestamp;
}

/** An account without a person: it signs in by keys that its owner makes. */
export interface BotCreated {
  readonly user_id: Uuid;
  readonly owner_id: Uuid;
  readonly created_at: Timestamp;
  readonly display_name: string;
}

export interface CardAttached {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly link_id: Uuid;
  readonly track_id: Uuid;
  readonly card_version: number;
  readonly seq: number;
}

export interface ChartsUpdated {
  readonly window: "week";
  readonly entries: readonly RankedTrack[];
  readonly generated_at: Timestamp;
}

/** A claim code as it stands on a public page. */
export interface ClaimCodeMark {
  readonly code: string;
  readonly place: "hidden" | "link" | "meta_tag" | "visible_text" | "visitor_text";
}

/** Fetch one page and report it. The key is the host, so one host is asked one at a time. */
export interface CrawlFetch {
  readonly job_id: Uuid;
  readonly host_key: string;
  readonly url: string;
  readonly requested_by: "admin" | "track-unfurl" | "verification";
  readonly bypass_cache?: boolean;
  readonly find_claim_codes?: boolean;
}

/** Every retry is used up; nothing conclusive is known about the page. */
export interface CrawlJobFailed {
  readonly job_id: Uuid;
  readonly url: string;
  readonly outcome: "blocked" | "not_found" | "ok" | "refused" | "robots_denied" | "too_large" | "unreachable" | "unsupported";
  readonly attempts: number;
  readonly failed_at: Timestamp;
}

/** The page was asked for; `outcome` says what came. Bodies never travel. */
export interface CrawlPageFetched {
  readonly job_id: Uuid;
  readonly url: string;
  readonly final_url: string;
  readonly redirect_urls: readonly string[];
  readonly outcome: "blocked" | "not_found" | "ok" | "refused" | "robots_denied" | "too_large" | "unreachable" | "unsupported";
  readonly status_code?: number | null;
  readonly content_sha256?: string | null;
  readonly marks?: readonly ClaimCodeMark[];
  readonly fetched_at: Timestamp;
}

export interface LinkUnresolvable {
  readonly link_id: Uuid;
  readonly url: string;
  readonly reason_code: "blocked" | "not_found" | "refused" | "unreachable" | "unsupported";
  readonly retryable: boolean;
}

export interface MemberJoined {
  readonly room_id: Uuid;
  readonly user_id: Uuid;
  readonly role: "member" | "moderator" | "owner";
  readonly seq: number;
  readonly joined_at: Timestamp;
}

export interface MemberLeft {
  readonly room_id: Uuid;
  readonly user_id: Uuid;
  readonly reason: "banned" | "kicked" | "left";
  readonly seq: number;
  readonly left_at: Timestamp;
}

export interface MessageDeleted {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly author_id: Uuid;
  readonly deleted_by: Uuid;
  readonly seq: number;
  readonly deleted_at: Timestamp;
}

export interface MessageEdited {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly author_id: Uuid;
  readonly seq: number;
  readonly edit_version: number;
  readonly links: readonly SharedLink[];
  readonly edited_at: Timestamp;
  readonly in_private_room?: boolean;
}

export interface MessageSent {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly author_id: Uuid;
  readonly seq: number;
  readonly links: readonly SharedLink[];
  readonly has_text: boolean;
  readonly sent_at: Timestamp;
  readonly in_private_room?: boolean;
}

/** Who did what to whom. The reason's words stay in the moderation log. */
export interface ModerationActionTaken {
  readonly action_id: Uuid;
  readonly kind: "ban" | "delete_message" | "kick" | "mute" | "unban" | "unmute";
  readonly user_id: Uuid;
  readonly room_id: Uuid;
  readonly moderator_id: Uuid;
  readonly until?: Timestamp | null;
  readonly taken_at: Timestamp;
}

export interface RankedTrack {
  readonly track_id: Uuid;
  readonly score: number;
  readonly rank: number;
}

export interface ReactionAdded {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly user_id: Uuid;
  readonly emoji: string;
  readonly seq: number;
  readonly added_at: Timestamp;
}

export interface ReactionRemoved {
  readonly room_id: Uuid;
  readonly message_id: Uuid;
  readonly user_id: Uuid;
  readonly emoji: string;
  readonly seq: number;
  readonly removed_at: Timestamp;
}

export interface RoleChanged {
  readonly user_id: Uuid;
  readonly role: "ADMIN" | "SUPER_ADMIN" | "USER";
  readonly changed_by: Uuid;
  readonly changed_at: Timestamp;
  readonly perm_version?: number;
}

export interface RoomCreated {
  readonly room_id: Uuid;
  readonly owner_id: Uuid;
  readonly is_private: boolean;
  readonly seq: number;
  readonly created_at: Timestamp;
}

export interface RoomUpdated {
  readonly room_id: Uuid;
  readonly changed: readonly string[];
  readonly seq: number;
  readonly updated_at: Timestamp;
}

export interface SessionRevoked {
  readonly user_id: Uuid;
  readonly session_id: Uuid;
  readonly reason: "logout" | "refresh_reuse" | "revoked" | "role_changed";
  readonly revoked_at: Timestamp;
}

export interface SharedLink {
  readonly link_id: Uuid;
  readonly url: string;
}

/** What a client shows for a link. Absent means unknown: a guess is a defect. */
export interface TrackCard {
  readonly track_id: Uuid;
  readonly provider: string;
  readonly kind: string;
  readonly canonical_url: string;
  readonly status: "ok" | "partial";
  readonly provider_id?: string | null;
  readonly title?: string | null;
  readonly artists?: readonly ArtistName[];
  readonly album?: string | null;
  readonly artwork?: readonly Artwork[];
  readonly duration_ms?: number | null;
  readonly isrc?: string | null;
  readonly release_date?: string | null;
  readonly embed_url?: string | null;
}

export interface TrackResolved {
  readonly link_id: Uuid;
  readonly url: string;
  readonly card: TrackCard;
  readonly card_version: number;
  readonly resolved_at: Timestamp;
}

export interface TrackState {
  readonly version: number;
  readonly track_id: Uuid;
  readonly card: TrackCard;
}

export interface UnfurlResolve {
  readonly link_id: Uuid;
  readonly url: string;
}

export interface UserProfileCreated {
  readonly user_id: Uuid;
  readonly version: number;
  readonly created_at: Timestamp;
}

export interface UserProfileUpdated {
  readonly user_id: Uuid;
  readonly version: number;
  readonly changed: readonly string[];
  readonly updated_at: Timestamp;
}

/** What others may show of a person. Personal data. */
export interface UserState {
  readonly version: number;
  readonly user_id: Uuid;
  readonly handle: string;
  readonly display_name: string;
  readonly avatar_url?: string | null;
}

export interface VerificationApproved {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly reviewer_id?: Uuid | null;
  readonly reason_code: "blocked" | "conflict" | "expired" | "found" | "not_found" | "redirected_off_origin" | "reflected" | "reviewed" | "unreachable" | "wrong_place";
  readonly decided_at: Timestamp;
}

export interface VerificationCheckFailed {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly reason_code: "blocked" | "conflict" | "expired" | "found" | "not_found" | "redirected_off_origin" | "reflected" | "reviewed" | "unreachable" | "wrong_place";
  readonly conclusive: boolean;
  readonly checked_at: Timestamp;
}

export interface VerificationCheckPassed {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly automatic: boolean;
  readonly checked_at: Timestamp;
}

export interface VerificationExpired {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly expired_at: Timestamp;
}

export interface VerificationRejected {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly reviewer_id?: Uuid | null;
  readonly reason_code: "blocked" | "conflict" | "expired" | "found" | "not_found" | "redirected_off_origin" | "reflected" | "reviewed" | "unreachable" | "wrong_place";
  readonly decided_at: Timestamp;
}

export interface VerificationSubmitted {
  readonly request_id: Uuid;
  readonly artist_id: Uuid;
  readonly user_id: Uuid;
  readonly expires_at: Timestamp;
}

/** The data of every type. */
export interface DataOf {
  "auth.account.registered.v1": AccountRegistered;
  "auth.session.revoked.v1": SessionRevoked;
  "auth.role.changed.v1": RoleChanged;
  "auth.bot.created.v1": BotCreated;
  "auth.account.suspended.v1": AccountSuspended;
  "auth.account.restored.v1": AccountRestored;
  "user.profile.created.v1": UserProfileCreated;
  "user.profile.updated.v1": UserProfileUpdated;
  "user.block.changed.v1": BlockChanged;
  "user.v1": UserState;
  "artist.profile.created.v1": ArtistProfileCreated;
  "artist.profile.updated.v1": ArtistProfileUpdated;
  "artist.verification.applied.v1": ArtistVerificationApplied;
  "artist.v1": ArtistState;
  "verification.request.submitted.v1": VerificationSubmitted;
  "verification.check.passed.v1": VerificationCheckPassed;
  "verification.check.failed.v1": VerificationCheckFailed;
  "verification.request.approved.v1": VerificationApproved;
  "verification.request.rejected.v1": VerificationRejected;
  "verification.request.expired.v1": VerificationExpired;
  "crawl.fetch.v1": CrawlFetch;
  "crawl.page.fetched.v1": CrawlPageFetched;
  "crawl.job.failed.v1": CrawlJobFailed;
  "unfurl.resolve.v1": UnfurlResolve;
  "unfurl.track.resolved.v1": TrackResolved;
  "unfurl.link.unresolvable.v1": LinkUnresolvable;
  "track.v1": TrackState;
  "charts.top.updated.v1": ChartsUpdated;
  "chat.room.created.v1": RoomCreated;
  "chat.room.updated.v1": RoomUpdated;
  "chat.member.joined.v1": MemberJoined;
  "chat.member.left.v1": MemberLeft;
  "chat.message.sent.v1": MessageSent;
  "chat.message.edited.v1": MessageEdited;
  "chat.message.deleted.v1": MessageDeleted;
  "chat.card.attached.v1": CardAttached;
  "chat.reaction.added.v1": ReactionAdded;
  "chat.reaction.removed.v1": ReactionRemoved;
  "moderation.action.taken.v1": ModerationActionTaken;
  "moderation.account.muted.v1": AccountMuted;
}

export type Type = keyof DataOf;

/** What to subscribe to; the last token is the key. */
export const SUBJECTS = {
  "auth.account.registered.v1": "seda.evt.auth.account.registered.v1.*",
  "auth.session.revoked.v1": "seda.evt.auth.session.revoked.v1.*",
  "auth.role.changed.v1": "seda.evt.auth.role.changed.v1.*",
  "auth.bot.created.v1": "seda.evt.auth.bot.created.v1.*",
  "auth.account.suspended.v1": "seda.evt.auth.account.suspended.v1.*",
  "auth.account.restored.v1": "seda.evt.auth.account.restored.v1.*",
  "user.profile.created.v1": "seda.evt.user.profile.created.v1.*",
  "user.profile.updated.v1": "seda.evt.user.profile.updated.v1.*",
  "user.block.changed.v1": "seda.evt.user.block.changed.v1.*",
  "user.v1": "seda.state.user.v1.*",
  "artist.profile.created.v1": "seda.evt.artist.profile.created.v1.*",
  "artist.profile.updated.v1": "seda.evt.artist.profile.updated.v1.*",
  "artist.verification.applied.v1": "seda.evt.artist.verification.applied.v1.*",
  "artist.v1": "seda.state.artist.v1.*",
  "verification.request.submitted.v1": "seda.evt.verification.request.submitted.v1.*",
  "verification.check.passed.v1": "seda.evt.verification.check.passed.v1.*",
  "verification.check.failed.v1": "seda.evt.verification.check.failed.v1.*",
  "verification.request.approved.v1": "seda.evt.verification.request.approved.v1.*",
  "verification.request.rejected.v1": "seda.evt.verification.request.rejected.v1.*",
  "verification.request.expired.v1": "seda.evt.verification.request.expired.v1.*",
  "crawl.fetch.v1": "seda.cmd.crawl.fetch.v1.*",
  "crawl.page.fetched.v1": "seda.evt.crawl.page.fetched.v1.*",
  "crawl.job.failed.v1": "seda.evt.crawl.job.failed.v1.*",
  "unfurl.resolve.v1": "seda.cmd.unfurl.resolve.v1.*",
  "unfurl.track.resolved.v1": "seda.evt.unfurl.track.resolved.v1.*",
  "unfurl.link.unresolvable.v1": "seda.evt.unfurl.link.unresolvable.v1.*",
  "track.v1": "seda.state.track.v1.*",
  "charts.top.updated.v1": "seda.evt.charts.top.updated.v1.*",
  "chat.room.created.v1": "seda.evt.chat.room.created.v1.*",
  "chat.room.updated.v1": "seda.evt.chat.room.updated.v1.*",
  "chat.member.joined.v1": "seda.evt.chat.member.joined.v1.*",
  "chat.member.left.v1": "seda.evt.chat.member.left.v1.*",
  "chat.message.sent.v1": "seda.evt.chat.message.sent.v1.*",
  "chat.message.edited.v1": "seda.evt.chat.message.edited.v1.*",
  "chat.message.deleted.v1": "seda.evt.chat.message.deleted.v1.*",
  "chat.card.attached.v1": "seda.evt.chat.card.attached.v1.*",
  "chat.reaction.added.v1": "seda.evt.chat.reaction.added.v1.*",
  "chat.reaction.removed.v1": "seda.evt.chat.reaction.removed.v1.*",
  "moderation.action.taken.v1": "seda.evt.moderation.action.taken.v1.*",
  "moderation.account.muted.v1": "seda.evt.moderation.account.muted.v1.*",
} as const satisfies Record<Type, string>;
