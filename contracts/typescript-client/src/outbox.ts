/** Commands that have no answer yet, over all connections. Pure. */

import type { Failure } from "../../typescript/socket.js";

/** Why a command failed: a code of the protocol, or one of `connection_lost` (nobody knows whether
 * it was done), `timeout`, `stopped` and `too_many_waiting`. */
export interface Refusal {
  readonly code: string;
  readonly retry: Failure["retry"];
  readonly retryMs?: number | null;
}

export interface Command {
  readonly op: string;
  readonly room: string | null;
  readonly d: unknown;
  /** Not tried again later than this. */
  readonly until: number;
  /** Whom to tell; null for the client's own. */
  readonly ref: number | null;
  /** Of the frame that is under way, if one is. */
  id?: number | null;
  retryAt?: number | null;
}

/** Said twice they do what they do said once, so a broken connection does not end them. */
const REPEATABLE = new Set([
  "msg.send", // by its `cid`
  "msg.edit",
  "react.add",
  "react.remove",
  "pin.add",
  "pin.remove",
  "presence.set",
  "read.mark",
]);

export class Outbox {
  #commands: Command[] = [];
  #nextId = 1;

  constructor(private readonly waitingMax: number) {}

  nextId(): number {
    return this.#nextId++;
  }

  /** False when the caller's commands are too many; the client's own are few by themselves. */
  add(command: Command): boolean {
    if (command.ref !== null && this.#commands.length >= this.waitingMax) return false;
    this.#commands.push(command);
    return true;
  }

  /** What to say now, in the order in which it was wished; but rooms first, so that who sends to a
   * room it follows hears what it sent. */
  due(now: number): Command[] {
    const due = this.#commands.filter(({ id, retryAt }) => id == null && (retryAt ?? now) <= now);
    const isRoom = ({ op }: Command) => op === "room.sub";
    return [...due.filter(isRoom), ...due.filter((command) => !isRoom(command))];
  }

  /** The command that this answers; null when nobody asked, or when it is tried again. */
  replied(id: number, retryAt: number | null): Command | null {
    const command = this.#commands.find((waiting) => waiting.id === id);
    if (command === undefined) return null;
    if (retryAt !== null && retryAt <= command.until) {
      command.id = null;
      command.retryAt = retryAt;
      return null;
    }
    this.#commands = this.#commands.filter((waiting) => waiting !== command);
    return command;
  }

  /** Refs of those whose outcome is unknown and that may not be said twice. */
  disconnected(): number[] {
    const lost = this.#commands.filter(
      ({ id, op, ref }) => ref === null || (id != null && !REPEATABLE.has(op)),
    );
    this.#commands = this.#commands.filter((command) => !lost.includes(command));
    for (const command of this.#commands) command.id = null;
    return refsOf(lost);
  }

  /** Refs of those whose time is over. */
  expire(now: number): number[] {
    const late = this.#commands.filter(({ ref, until }) => ref !== null && until <= now);
    this.#commands = this.#commands.filter((command) => !late.includes(command));
    return refsOf(late);
  }

  abandon(): number[] {
    const all = this.#commands;
    this.#commands = [];
    return refsOf(all);
  }

  wakeAt(): number | null {
    const moments = this.#commands.flatMap(({ id, ref, retryAt, until }) => [
      ...(ref === null ? [] : [until]),
      ...(id == null && retryAt != null ? [retryAt] : []),
    ]);
    return moments.length === 0 ? null : Math.min(...moments);
  }
}

function refsOf(commands: readonly Command[]): number[] {
  return commands.flatMap(({ ref }) => (ref === null ? [] : [ref]));
}
