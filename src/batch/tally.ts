/** Counters of one batch, right at every turn. */
export class Tally {
  fulfilled = 0;
  rejected = 0;
  calls = 0;
  retries = 0;
  splits = 0;
  /** Calls entered and not ended, without those that were given up. */
  inFlight = 0;
  peakInFlight = 0;
  abandoned = 0;

  get settled(): number {
    return this.fulfilled + this.rejected;
  }

  entered(): void {
    this.calls++;
    if (++this.inFlight > this.peakInFlight) this.peakInFlight = this.inFlight;
  }
}

/** Per second; 0 while no time has passed. */
export function perSecond(count: number, elapsedMs: number): number {
  return elapsedMs > 0 ? (count / elapsedMs) * 1_000 : 0;
}
