/** What a client does about each frame, each close and each moment. It has no socket, clock or
 * chance of its own: they go in, decisions come out. */

import type {
  Close,
  Commands,
  Controls,
  Cursor,
  EventFrame,
  Failure,
  RoomReady,
} from "../../typescript/socket.js";
import { CLOSES, EVENT_TYPES, VERSION } from "../../typescript/socket.js";
import { Backoff } from "./backoff.js";
import type {
  Decision,
  Happening,
  RoomEphemeral,
  RoomEvent,
  RoomState,
  Settings,
} from "./decisions.js";
import { Heart } from "./heart.js";
import { Outbox, type Refusal } from "./outbox.js";
import { Room } from "./room.js";

type Phase = "idle" | "waiting" | "connecting" | "greeting" | "ready" | "stopped";
export type Credential = { readonly ticket: string } | { readonly token: string };
/** What the server may say beside replies, as one loose shape: it is read field by field. */
type Frame = { readonly op?: string; readonly id?: number; readonly [field: string]: unknown };

const LOST_HEARTBEAT = 4408;
const DRAINED = 4012;

/** What to do about any code, also one that is not in the table. */
export function reactionTo(code: number): Close {
  const known = CLOSES[code];
  if (known !== undefined) return known;
  const isFinal = code >= 4500 && code <= 4999;
  return { meaning: "unknown", reaction: isFinal ? "stop" : "resume", delay_ms: 0 };
}

/** What is no frame means nothing. */
function framesOf(text: string): Frame[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return [];
  }
  const items: unknown[] = Array.isArray(content) ? content : [content];
  return items.filter((item): item is Frame => typeof item === "object" && item !== null);
}

export class Core {
  readonly #rooms = new Map<string, Room>();
  readonly #outbox: Outbox;
  readonly #backoff: Backoff;
  readonly #heart = new Heart();
  readonly #settings: Settings;
  readonly #random: () => number;
  #decisions: Decision[] = [];
  #phase: Phase = "idle";
  #connections = 0;
  #renew = false;
  #deadline: number | null = null;
  #readyAt: number | null = null;
  #drainAt: number | null = null;
  #helloId = 0;
  #status: Commands["presence.set"]["status"] = "online";
  #typingMs = 3_000;
  readonly #typedAt = new Map<string, number>();

  constructor(settings: Settings, random: () => number) {
    const { backoffBaseMs, backoffMaxMs, timeScale } = settings;
    this.#settings = settings;
    this.#backoff = new Backoff(backoffBaseMs * timeScale, backoffMaxMs * timeScale, random);
    this.#outbox = new Outbox(settings.commandsWaitingMax);
    this.#random = random;
  }

  // What the application wants.

  start(now: number): Decision[] {
    if (this.#phase === "idle") this.#connect(now);
    return this.#taken();
  }

  stop(): Decision[] {
    if (this.#phase !== "stopped") {
      const isConnected = this.#phase !== "idle" && this.#phase !== "waiting";
      if (isConnected) this.#decide({ do: "hang_up", code: 1000 });
      this.#end(1000, "the client ended it");
    }
    return this.#taken();
  }

  follow(room: string, cursor: Cursor | null, now: number): Decision[] {
    if (!this.#rooms.has(room)) {
      this.#rooms.set(room, new Room(cursor));
      this.#ask(room);
      this.#flush(now);
    }
    return this.#taken();
  }

  unfollow(room: string, now: number): Decision[] {
    if (this.#rooms.delete(room) && this.#phase === "ready") {
      this.#outbox.add({ op: "room.unsub", room, d: {}, until: now, ref: null });
      this.#flush(now);
    }
    return this.#taken();
  }

  /** A snapshot was read that stands there. */
  resumeFrom(room: string, cursor: Cursor, now: number): Decision[] {
    this.#rooms.get(room)?.resumeFrom(cursor);
    this.#ask(room);
    this.#flush(now);
    return this.#taken();
  }

  cursor(room: string): Cursor | null {
    return this.#rooms.get(room)?.cursor ?? null;
  }

  get clockOffsetMs(): number | null {
    return this.#heart.clock?.offsetMs ?? null;
  }

  /** `ref` is the caller's name for it, in the decision that settles or refuses it. */
  command(ref: number, op: string, room: string | null, d: unknown, now: number): Decision[] {
    if (op === "presence.set") this.#status = (d as Commands["presence.set"]).status;
    const until = now + this.#settings.commandMsMax;
    if (this.#phase === "stopped") {
      this.#refuse(ref, { code: "stopped", retry: "never" });
    } else if (this.#outbox.add({ op, room, d, until, ref })) {
      this.#flush(now);
    } else {
      this.#refuse(ref, { code: "too_many_waiting", retry: "later" });
    }
    return this.#taken();
  }

  /** Worth nothing late: said now and as often as the server allows, or not at all. */
  typing(room: string, now: number): Decision[] {
    const typedAt = this.#typedAt.get(room) ?? -Infinity;
    if (this.#phase === "ready" && this.#rooms.has(room) && now - typedAt >= this.#typingMs) {
      this.#typedAt.set(room, now);
      this.#say("typing", room, {});
    }
    return this.#taken();
  }

  // What the shell reports.

  opened(credential: Credential): Decision[] {
    if (this.#phase === "connecting") {
      this.#phase = "greeting";
      const rooms: Record<string, Cursor> = {};
      for (const [id, room] of this.#rooms) {
        if (room.cursor !== null && !room.needsSnapshot) rooms[id] = room.cursor;
      }
      this.#helloId = this.#say("hello", null, { ...credential, resume: { rooms }, v: VERSION });
    }
    return this.#taken();
  }

  /** `code` is null when there never was a connection. */
  closed(code: number | null, now: number, sourceError: unknown = null): Decision[] {
    if (this.#phase !== "stopped" && this.#phase !== "waiting") this.#lose(code, now, sourceError);
    return this.#taken();
  }

  /** The source says that there is nobody to connect for. */
  signedOut(): Decision[] {
    if (this.#phase !== "stopped") this.#end(null, "signed out");
    return this.#taken();
  }

  tokenRenewed(token: string, now: number): Decision[] {
    if (this.#phase === "ready") {
      this.#outbox.add({ op: "auth.refresh", room: null, d: { token }, until: now, ref: null });
      this.#flush(now);
    }
    return this.#taken();
  }

  /** One message: a frame, or an array of them. */
  received(text: string, now: number): Decision[] {
    for (const frame of framesOf(text)) {
      // Nothing that comes after the end of a connection is of it.
      if (this.#phase === "greeting" || this.#phase === "ready") this.#receive(frame, now);
    }
    this.#flush(now);
    return this.#taken();
  }

  /** When to call `tick`, at the latest. */
  wakeAt(): number | null {
    const moments = [this.#deadline, this.#outbox.wakeAt()];
    if (this.#phase === "ready") {
      moments.push(this.#heart.wakeAt(), this.#drainEndAt());
    }
    const known = moments.filter((moment) => moment !== null);
    return this.#phase === "stopped" || known.length === 0 ? null : Math.min(...known);
  }

  tick(now: number): Decision[] {
    const isDue = this.#deadline !== null && now >= this.#deadline;
    if (this.#phase === "ready") this.#tickReady(now);
    else if (isDue && this.#phase === "waiting") this.#connect(now);
    else if (isDue) this.#hangUp(null, now);
    for (const ref of this.#outbox.expire(now)) {
      this.#refuse(ref, { code: "timeout", retry: "later" });
    }
    return this.#taken();
  }

  // Connections.

  #connect(now: number): void {
    this.#phase = "connecting";
    this.#deadline = now + this.#settings.connectMsMax;
    this.#decide({ do: "connect", renew: this.#renew });
    this.#renew = false;
  }

  /** The shell forgets the connection, so it will not report its end. */
  #hangUp(code: number | null, now: number): void {
    this.#decide({ do: "hang_up", code: code ?? 1000 });
    this.#lose(code, now);
  }

  #lose(code: number | null, now: number, sourceError: unknown = null): void {
    const close = reactionTo(code ?? 1006);
    if (close.reaction === "stop") return this.#end(code, close.meaning);
    const settledMs = this.#settings.settledMs * this.#settings.timeScale;
    if (this.#readyAt !== null && now - this.#readyAt >= settledMs) this.#backoff.end();
    const drainAt = this.#drainAt;
    this.#leave();
    for (const ref of this.#outbox.disconnected()) {
      this.#refuse(ref, { code: "connection_lost", retry: "later" });
    }
    this.#renew = close.reaction === "resume_with_new_ticket";
    // The server has spread its clients over the drain: each comes back at the moment it was given.
    const isOurSlot = code === DRAINED && drainAt !== null;
    const { waitMs, elapsedMs } = isOurSlot ? { waitMs: 0, elapsedMs: 0 } : this.#backoff.next(now);
    const atLeastMs = Math.max(close.delay_ms * this.#settings.timeScale, (drainAt ?? now) - now);
    this.#phase = "waiting";
    this.#deadline = now + atLeastMs + waitMs;
    this.#tell({ kind: "waiting", waitMs: atLeastMs + waitMs, elapsedMs, code, sourceError });
  }

  #end(code: number | null, meaning: string): void {
    this.#leave();
    this.#phase = "stopped";
    for (const ref of this.#outbox.abandon()) {
      this.#refuse(ref, { code: "stopped", retry: "never" });
    }
    this.#tell({ kind: "stopped", code, meaning });
  }

  #leave(): void {
    this.#deadline = this.#readyAt = this.#drainAt = null;
    for (const room of this.#rooms.values()) room.disconnected();
  }

  #tickReady(now: number): void {
    const drainEndAt = this.#drainEndAt();
    if (this.#heart.hasStopped(now)) return this.#hangUp(LOST_HEARTBEAT, now);
    if (drainEndAt !== null && now >= drainEndAt) return this.#hangUp(DRAINED, now);
    const beat = this.#heart.beat(now);
    if (beat !== null) this.#say("hb", null, beat);
    this.#flush(now);
  }

  /** When a server that said it would close has to have done so. */
  #drainEndAt(): number | null {
    const graceMs = this.#settings.drainGraceMs * this.#settings.timeScale;
    return this.#drainAt === null ? null : this.#drainAt + graceMs;
  }

  // What the server says. What nobody here knows is passed over.

  #receive(frame: Frame, now: number): void {
    if ("ok" in frame || "err" in frame) return this.#replied(frame, now);
    const room = typeof frame["room"] === "string" ? frame["room"] : "";
    switch (frame.op) {
      case "welcome":
        return this.#welcomed(frame as unknown as Controls["welcome"]);
      case "ready":
        return this.#greeted(frame as unknown as Controls["ready"], now);
      case "ev":
        return this.#heard(frame as unknown as EventFrame);
      case "st":
        return this.#tell({ kind: "state", state: frame as unknown as RoomState });
      case "ep":
        return this.#tell({ kind: "ephemeral", ephemeral: frame as unknown as RoomEphemeral });
      case "live": {
        const { head } = frame as unknown as Controls["live"];
        this.#tell({ kind: "live", room, head });
        if (this.#rooms.get(room)?.isBehind(head) === true) this.#ask(room);
        return;
      }
      case "lagged":
        return this.#ask(room);
      case "unsub":
        return this.#forget(room, (frame as unknown as Controls["unsub"]).reason);
      case "notice": {
        const notice = frame as unknown as Controls["notice"];
        return this.#tell({ kind: "notice", code: notice.code, until: notice.until ?? null });
      }
      case "drain":
        this.#drainAt = now + (frame as unknown as Controls["drain"]).in_ms;
        return;
      case "auth.expiring":
        return this.#decide({ do: "renew_token" });
      case "hb.ok":
        return this.#beaten(frame as unknown as Controls["hb.ok"], now);
    }
  }

  #welcomed(welcome: Controls["welcome"]): void {
    this.#heart.pace(welcome.hb_ms, welcome.hb_grace_ms);
    this.#typingMs = welcome.limits["typing_interval_ms"] ?? this.#typingMs;
  }

  #greeted(ready: Controls["ready"], now: number): void {
    this.#phase = "ready";
    this.#deadline = null;
    this.#readyAt = now;
    this.#connections += 1;
    this.#heart.start(now, this.#random());
    this.#tell({ kind: "connected", number: this.#connections });
    const told = new Map(ready.rooms.map((room) => [room.room, room]));
    for (const id of [...this.#rooms.keys()]) {
      const answer = told.get(id);
      if (answer !== undefined) this.#answered(answer);
      else this.#ask(id);
    }
    if (this.#status !== "online") this.#say("presence.set", null, { status: this.#status });
  }

  #heard(event: EventFrame): void {
    const verdict = this.#rooms.get(event.room)?.take(event);
    if (verdict === "ask") this.#ask(event.room);
    // A type of a later release counts, and says nothing.
    if (verdict === "accept" && event.t in EVENT_TYPES) {
      this.#tell({ kind: "event", event: event as unknown as RoomEvent });
    }
  }

  #beaten(beat: Controls["hb.ok"], now: number): void {
    this.#tell({ kind: "clock", ...this.#heart.answered(beat, now) });
    for (const [room, head] of Object.entries(beat.heads)) {
      if (this.#rooms.get(room)?.isBehindSinceLastBeat(head) === true) this.#ask(room);
    }
  }

  // Rooms.

  /** Subscribe from the cursor, or from now on where there is none. */
  #ask(id: string): void {
    const room = this.#rooms.get(id);
    if (this.#phase !== "ready" || room === undefined || room.isAsked || room.needsSnapshot) return;
    room.isAsked = true;
    const d = room.cursor ?? {};
    this.#outbox.add({ op: "room.sub", room: id, d, until: Infinity, ref: null });
  }

  #answered(told: RoomReady): void {
    if (told.result === "gone") return this.#forget(told.room, "gone");
    this.#rooms.get(told.room)?.answered(told);
    if (told.result === "snapshot" && this.#rooms.has(told.room)) {
      this.#tell({ kind: "snapshot_needed", room: told.room });
    }
  }

  #forget(room: string, reason: string): void {
    if (this.#rooms.delete(room)) this.#tell({ kind: "lost", room, reason });
  }

  // Commands.

  #replied(frame: Frame, now: number): void {
    if (frame.id === this.#helloId) return; // the close that follows says what to do
    const failure = frame["err"] as Failure | undefined;
    const { backoffBaseMs, timeScale } = this.#settings;
    const waitMs = failure?.retry_ms ?? this.#random() * backoffBaseMs * timeScale;
    const retryAt = failure?.retry === "later" ? now + waitMs : null;
    const command = this.#outbox.replied(frame.id ?? 0, retryAt);
    if (command === null) return;
    if (failure === undefined) {
      if (command.op === "room.sub") this.#answered(frame["ok"] as RoomReady);
      if (command.ref !== null) this.#decide({ do: "settle", ref: command.ref, ok: frame["ok"] });
    } else if (command.op === "room.sub" && command.room !== null) {
      this.#forget(command.room, failure.code);
    } else if (command.ref !== null) {
      const { code, retry, retry_ms: retryMs = null } = failure;
      this.#refuse(command.ref, { code, retry, retryMs });
    }
  }

  #flush(now: number): void {
    if (this.#phase !== "ready") return;
    for (const command of this.#outbox.due(now)) {
      command.id = this.#say(command.op, command.room, command.d);
    }
  }

  #say(op: string, room: string | null, d: unknown): number {
    const id = this.#outbox.nextId();
    const command = room === null ? { id, op, d } : { id, op, room, d };
    this.#decide({ do: "say", text: JSON.stringify(command) });
    return id;
  }

  // Decisions.

  #decide(decision: Decision): void {
    this.#decisions.push(decision);
  }

  #tell(happening: Happening): void {
    this.#decide({ do: "tell", happening });
  }

  #refuse(ref: number, refusal: Refusal): void {
    this.#decide({ do: "refuse", ref, refusal });
  }

  #taken(): Decision[] {
    const decisions = this.#decisions;
    this.#decisions = [];
    return decisions;
  }
}
