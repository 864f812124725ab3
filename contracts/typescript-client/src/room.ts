/** Where a client stands in the log of one room, and when it must ask for what it has not. Pure. */

import type { Cursor, EventFrame, RoomReady } from "../../typescript/socket.js";

/** Every event is accepted once and in order. After a hole the room is asked for again from the
 * cursor: the server then tells what is missing, or that only a snapshot helps. */
export class Room {
  /** A subscription is under way: what comes before its answer may be out of turn. */
  isAsked = false;
  /** Waits for somebody to read the room over HTTP; until then no event of it can be placed. */
  needsSnapshot = false;
  #ahead = 0;

  constructor(public cursor: Cursor | null) {}

  /** Whether to hand the event on. `ask` says that there is a hole before it. */
  take(event: EventFrame): "accept" | "drop" | "ask" {
    if (this.needsSnapshot) return "drop";
    if (this.cursor !== null) {
      if (event.ep !== this.cursor.ep) return "ask";
      if (event.seq <= this.cursor.seq) return "drop";
      if (event.seq > this.cursor.seq + 1) return "ask";
    }
    this.cursor = { ep: event.ep, seq: event.seq };
    return "accept";
  }

  /** The answer to a subscription, also one that came with `ready`. */
  answered(told: RoomReady): void {
    this.isAsked = false;
    this.needsSnapshot = told.result === "snapshot";
    if (told.result !== "current") return;
    const [ep, seq] = [told.ep ?? "", told.head ?? 0];
    // Events may have come since the server looked: the cursor never goes back in one log.
    if (this.cursor?.ep !== ep || this.cursor.seq < seq) this.cursor = { ep, seq };
  }

  /** Whether something before `head` is missing although it should be here. */
  isBehind(head: number): boolean {
    return !this.needsSnapshot && this.cursor !== null && this.cursor.seq < head;
  }

  /** The same of a heartbeat's `head`. Its events may be under way: they have until the next. */
  isBehindSinceLastBeat(head: number): boolean {
    const since = this.isBehind(this.#ahead);
    this.#ahead = head;
    return since;
  }

  resumeFrom(cursor: Cursor): void {
    this.needsSnapshot = false;
    this.cursor = cursor;
  }

  disconnected(): void {
    this.isAsked = false;
    this.#ahead = 0;
  }
}
