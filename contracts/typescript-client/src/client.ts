/** The shell around the core: one WebSocket after the other, one timer, promises for replies. */

import type { Commands, Cursor, Replies } from "../../typescript/socket.js";
import { SUBPROTOCOL } from "../../typescript/socket.js";
import { Core, type Credential } from "./core.js";
import { SETTINGS, type Decision, type Happening, type Settings } from "./decisions.js";
import type { Refusal } from "./outbox.js";

/** Where to connect and what to say there. A token can be refreshed while the connection stands. */
export type Ticket =
  | { readonly url: string; readonly ticket: string }
  | { readonly url: string; readonly token: string };

/** Thrown by a source when nobody is signed in any more: the client stops. Any other error of a
 * source is trouble that may pass. */
export class SignedOut extends Error {}

/** A command that was not done. */
export class Refused extends Error {
  readonly code: string;
  readonly retry: Refusal["retry"];
  readonly retryMs: number | null;

  constructor(refusal: Refusal) {
    super(refusal.code);
    this.code = refusal.code;
    this.retry = refusal.retry;
    this.retryMs = refusal.retryMs ?? null;
  }
}

export interface Options {
  /** Called before every connection: a ticket opens one socket. `renew`: the last was refused. */
  readonly source: (renew: boolean) => Promise<Ticket>;
  readonly onHappening: (happening: Happening) => void;
  /** The platform's own where it has one. */
  readonly WebSocket?: new (url: string, protocols: string) => WebSocket;
  readonly settings?: Partial<Settings>;
  readonly random?: () => number;
  /** Milliseconds since 1970 that never jump. */
  readonly now?: () => number;
}

type CommandOp = Exclude<keyof Replies, "room.sub" | "room.unsub" | "auth.refresh" | "typing">;
type RoomOp = Exclude<CommandOp, "presence.set">;
type Waiting = { readonly resolve: (ok: never) => void; readonly reject: (error: Error) => void };

/** A client of `seda.rt.v1` that comes back, misses nothing and sends once. */
export class Client {
  readonly #options: Options;
  readonly #core: Core;
  readonly #now: () => number;
  readonly #waiting = new Map<number, Waiting>();
  #nextRef = 1;
  /** Tells the connection of now from those before. */
  #attempt = 0;
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#core = new Core({ ...SETTINGS, ...options.settings }, options.random ?? Math.random);
    this.#now = options.now ?? (() => performance.timeOrigin + performance.now());
  }

  start(): void {
    this.#carryOut(this.#core.start(this.#now()));
  }

  stop(): void {
    this.#carryOut(this.#core.stop());
  }

  /** Hear the room from the cursor on, or from now on. */
  follow(room: string, cursor: Cursor | null = null): void {
    this.#carryOut(this.#core.follow(room, cursor, this.#now()));
  }

  unfollow(room: string): void {
    this.#carryOut(this.#core.unfollow(room, this.#now()));
  }

  /** After `snapshot_needed`: where the page stands that was read over HTTP. */
  resumeFrom(room: string, cursor: Cursor): void {
    this.#carryOut(this.#core.resumeFrom(room, cursor, this.#now()));
  }

  /** The last event that was handed on: keep it, to resume in another page. */
  cursor(room: string): Cursor | null {
    return this.#core.cursor(room);
  }

  /** Add it to this machine's clock to have the server's; null before the first heartbeat. */
  get clockOffsetMs(): number | null {
    return this.#core.clockOffsetMs;
  }

  /** Resolves once the message is committed, exactly once, however often the connection breaks. */
  send(
    room: string,
    text: string,
    { cid = crypto.randomUUID(), parentId = null }: { cid?: string; parentId?: string | null } = {},
  ): Promise<Replies["msg.send"]> {
    return this.command("msg.send", { cid, text, parent_id: parentId }, room);
  }

  /** Any other command. Rejects with Refused; `connection_lost` leaves open whether it was done. */
  command<Op extends RoomOp>(op: Op, body: Commands[Op], room: string): Promise<Replies[Op]>;
  command(op: "presence.set", body: Commands["presence.set"]): Promise<Replies["presence.set"]>;
  command(op: CommandOp, body: unknown, room: string | null = null): Promise<never> {
    const ref = this.#nextRef++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(ref, { resolve, reject });
      this.#carryOut(this.#core.command(ref, op, room, body, this.#now()));
    });
  }

  /** A hint to the others of the room; may be called at every key. */
  typing(room: string): void {
    this.#carryOut(this.#core.typing(room, this.#now()));
  }

  #carryOut(decisions: readonly Decision[]): void {
    const told: Happening[] = [];
    for (const decision of decisions) {
      switch (decision.do) {
        case "connect":
          void this.#connect(++this.#attempt, decision.renew);
          break;
        case "say":
          this.#socket?.send(decision.text);
          break;
        case "hang_up":
          this.#attempt += 1;
          this.#socket?.close(decision.code);
          this.#socket = null;
          break;
        case "renew_token":
          void this.#renewToken(this.#attempt);
          break;
        case "settle":
          this.#take(decision.ref)?.resolve(decision.ok as never);
          break;
        case "refuse":
          this.#take(decision.ref)?.reject(new Refused(decision.refusal));
          break;
        case "tell":
          told.push(decision.happening);
      }
    }
    clearTimeout(this.#timer);
    const wakeAt = this.#core.wakeAt();
    if (wakeAt !== null) {
      const tick = () => this.#carryOut(this.#core.tick(this.#now()));
      // Rounded up: a timer that comes early would find nothing to do.
      this.#timer = setTimeout(tick, Math.max(0, Math.ceil(wakeAt - this.#now())));
    }
    // Last: an application may call back into the client from here.
    for (const happening of told) this.#options.onHappening(happening);
  }

  #take(ref: number): Waiting | undefined {
    const waiting = this.#waiting.get(ref);
    this.#waiting.delete(ref);
    return waiting;
  }

  async #connect(attempt: number, renew: boolean): Promise<void> {
    let credential: Credential;
    let socket: WebSocket;
    try {
      const { url, ...given } = await this.#options.source(renew);
      if (attempt !== this.#attempt) return;
      credential = given;
      socket = new (this.#options.WebSocket ?? WebSocket)(url, SUBPROTOCOL);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const isOver = error instanceof SignedOut;
      return this.#carryOut(
        isOver ? this.#core.signedOut() : this.#core.closed(null, this.#now(), error),
      );
    }
    this.#socket = socket;
    const isCurrent = () => attempt === this.#attempt;
    let hasOpened = false;
    socket.onopen = () => {
      hasOpened = true;
      if (isCurrent()) this.#carryOut(this.#core.opened(credential));
    };
    socket.onmessage = ({ data }) => {
      if (isCurrent()) this.#carryOut(this.#core.received(String(data), this.#now()));
    };
    socket.onclose = ({ code }) => {
      if (!isCurrent()) return;
      this.#socket = null;
      this.#carryOut(this.#core.closed(hasOpened ? code : null, this.#now()));
    };
  }

  async #renewToken(attempt: number): Promise<void> {
    try {
      const ticket = await this.#options.source(true);
      if (attempt === this.#attempt && "token" in ticket) {
        this.#carryOut(this.#core.tokenRenewed(ticket.token, this.#now()));
      }
    } catch {
      // The old one ends with 4003, and then the source is asked again.
    }
  }
}
