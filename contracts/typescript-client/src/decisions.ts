/** What a client can be set to, what it decides, and what an application hears. */

import type { Ephemerals, EventFrame, Events, States } from "../../typescript/socket.js";
import type { Refusal } from "./outbox.js";

/** `timeScale` shortens, for tests, how long the client waits by its own choice; limits stay. */
export interface Settings {
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** A connection that lived as long ends the trouble before it. */
  readonly settledMs: number;
  /** From the wish for a connection to `ready`. */
  readonly connectMsMax: number;
  /** How long a command is tried before its caller hears that it failed. */
  readonly commandMsMax: number;
  /** How long the server may be late to close at the moment that it named. */
  readonly drainGraceMs: number;
  readonly commandsWaitingMax: number;
  readonly timeScale: number;
}

export const SETTINGS: Settings = {
  backoffBaseMs: 500,
  backoffMaxMs: 30_000,
  settledMs: 10_000,
  connectMsMax: 15_000,
  commandMsMax: 30_000,
  drainGraceMs: 5_000,
  commandsWaitingMax: 256,
  timeScale: 1,
};

type Typed<Frame, Kinds> = {
  [T in keyof Kinds]: Omit<Frame, "t" | "d"> & { readonly t: T; readonly d: Kinds[T] };
}[keyof Kinds];
export type RoomEvent = Typed<EventFrame, Events>;
export type RoomState = Typed<{ room: string; t: string; rev: number; d: unknown }, States>;
export type RoomEphemeral = Typed<{ room: string; t: string; d: unknown }, Ephemerals>;

/** What an application hears. */
export type Happening =
  | { kind: "connected"; number: number }
  /** `sourceError`: why the source gave no ticket, or one that leads nowhere; null when it did its
   * part. */
  | {
      kind: "waiting";
      waitMs: number;
      elapsedMs: number;
      code: number | null;
      sourceError: unknown;
    }
  | { kind: "stopped"; code: number | null; meaning: string }
  | { kind: "event"; event: RoomEvent }
  | { kind: "state"; state: RoomState }
  | { kind: "ephemeral"; ephemeral: RoomEphemeral }
  /** Everything after `head` of this room comes by itself. */
  | { kind: "live"; room: string; head: number }
  /** Too much was missed to be told: read the room over HTTP, then `resumeFrom` what it said. */
  | { kind: "snapshot_needed"; room: string }
  /** The room may not be heard any more. */
  | { kind: "lost"; room: string; reason: string }
  | { kind: "notice"; code: string; until: string | null }
  | { kind: "clock"; offsetMs: number; roundTripMs: number };

export type Decision =
  /** Ask the source for a ticket and connect. `renew`: the last one was refused. */
  | { do: "connect"; renew: boolean }
  | { do: "say"; text: string }
  /** Close the connection and forget it; its end is known already. */
  | { do: "hang_up"; code: number }
  | { do: "renew_token" }
  | { do: "settle"; ref: number; ok: unknown }
  | { do: "refuse"; ref: number; refusal: Refusal }
  | { do: "tell"; happening: Happening };
