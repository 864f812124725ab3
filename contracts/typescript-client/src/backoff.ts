/** Full jitter, so that clients cut off together do not come back together. The range grows with
 * the time the trouble has lasted, not with the attempts: who fails fast does not wait longest. */
export class Backoff {
  #since: number | null = null;

  constructor(
    private readonly baseMs: number,
    private readonly maxMs: number,
    private readonly random: () => number,
  ) {}

  /** Something failed: how long to wait, and for how long it has been failing. */
  next(now: number): { waitMs: number; elapsedMs: number } {
    this.#since ??= now;
    const elapsedMs = now - this.#since;
    const ceilingMs = Math.min(this.maxMs, Math.max(this.baseMs, elapsedMs));
    return { waitMs: this.random() * ceilingMs, elapsedMs };
  }

  /** All was well for long enough. */
  end(): void {
    this.#since = null;
  }
}
