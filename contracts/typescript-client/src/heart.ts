/** Beats that show both sides that the other is there, and how far apart their clocks are. Pure. */

import type { Commands, Controls } from "../../typescript/socket.js";

const SAMPLES_MAX = 8;

export interface Clock {
  /** Add it to this machine's clock to have the server's. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

export class Heart {
  #everyMs = 25_000;
  #graceMs = 10_000;
  #number = 0;
  #nextAt = Infinity;
  /** When the answer to the beat under way is too late. */
  #overdueAt = Infinity;
  #samples: Clock[] = [];
  clock: Clock | null = null;

  pace(everyMs: number, graceMs: number): void {
    this.#everyMs = everyMs;
    this.#graceMs = graceMs;
  }

  /** `random` puts the first beat somewhere into the first period, so that clients that came
   * together do not beat together. */
  start(now: number, random: number): void {
    this.#nextAt = now + random * this.#everyMs;
    this.#overdueAt = Infinity;
    this.#samples = [];
  }

  wakeAt(): number {
    return Math.min(this.#nextAt, this.#overdueAt);
  }

  hasStopped(now: number): boolean {
    return now >= this.#overdueAt;
  }

  /** The body of the next beat, if it is time for it. */
  beat(now: number): Commands["hb"] | null {
    if (now < this.#nextAt) return null;
    this.#nextAt = now + this.#everyMs;
    this.#overdueAt = Math.min(this.#overdueAt, now + this.#graceMs);
    this.#number += 1;
    return { n: this.#number, t0: now };
  }

  /** As in NTP: of the last samples the one with the shortest way counts. */
  answered(beat: Controls["hb.ok"], now: number): Clock {
    this.#overdueAt = Infinity;
    const roundTripMs = now - beat.t0 - (beat.t2 - beat.t1);
    const sample = { offsetMs: (beat.t1 - beat.t0 + (beat.t2 - now)) / 2, roundTripMs };
    this.#samples = [...this.#samples, sample].slice(-SAMPLES_MAX);
    this.clock = this.#samples.reduce((a, b) => (b.roundTripMs < a.roundTripMs ? b : a));
    return this.clock;
  }
}
