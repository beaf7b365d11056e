/* How fast did events come in over the last five minutes? What the board has seen itself; before that, what the ledger counted
   a minute. Where nobody measured there is a hole. */

import type { LedgerPoint } from "./frames";
import { ms } from "./known";

export const WINDOW_MS = 5 * 60_000;
const STEP_MS = 2_000;
const HOLE_MS = 15_000;
const MINUTES_APART_MS = [20_000, 150_000] as const;

export interface Rate {
  at: number;
  perS: number | null;
}

export class Rates {
  private seen: Rate[] = [];

  /* One point every two seconds is as much as a sparkline shows. */
  add(at: number, perS: number | null): void {
    const last = this.seen.at(-1);
    if (last && at - last.at < STEP_MS) return;
    if (last && at - last.at > HOLE_MS) this.seen.push({ at: last.at + STEP_MS, perS: null });
    this.seen.push({ at, perS });
    this.seen = this.seen.filter((rate) => rate.at > at - WINDOW_MS);
  }

  since(now: number, history: LedgerPoint[]): Rate[] {
    const own = this.seen.filter((rate) => rate.at > now - WINDOW_MS);
    const first = own[0]?.at ?? now;
    return [...counted(history).filter((rate) => rate.at > now - WINDOW_MS && rate.at < first), ...own];
  }
}

/* The rate between two points of the ledger is drawn at the later one. Some are seconds apart, where a verdict changed: they are
   passed over, for the batches would be seen and not the rate. */
function counted(history: LedgerPoint[]): Rate[] {
  const rates: Rate[] = [];
  let before: LedgerPoint | null = null;
  for (const point of history) {
    const apart = before ? ms(point.at) - ms(before.at) : Infinity;
    if (apart < MINUTES_APART_MS[0]) continue;
    const events = before?.produced == null || point.produced === null ? -1 : point.produced - before.produced;
    if (apart < MINUTES_APART_MS[1]) rates.push({ at: ms(point.at), perS: events < 0 ? null : (events * 1000) / apart });
    before = point;
  }
  return rates;
}
