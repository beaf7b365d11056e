/* How long from an event to a pixel of this board? The rule is the hub's (controlplane/service/latency.py): a picture shows all
   events since the one before; the newest waited shortest and the oldest longest, so each adds the whole interval, evenly. */

import type { Marks } from "./frames";

const WINDOW_MS = 5 * 60_000;
const POINTS = 4;
const LONGEST_STEP_MS = 5_000;
const CLOCK_LIKE_MS = 60_000;

export interface Percentiles {
  p50: number;
  p99: number;
}

export class Latency {
  private samples: { at: number; wait: number; weight: number }[] = [];
  private readonly last = new Map<string, number>();

  painted(topic: string, marks: Marks, at: number): void {
    const { event_ms: event, raw_ms: raw } = marks;
    if (event === null || raw === null || Math.abs(raw - event) >= CLOCK_LIKE_MS) return;
    const before = this.last.get(topic);
    this.last.set(topic, event);
    if (before === undefined || event <= before || event - before > LONGEST_STEP_MS) return;
    const step = (event - before) / POINTS;
    for (let number = 0; number < POINTS; number++) {
      this.samples.push({ at, wait: at - (before + step * (number + 0.5)), weight: step });
    }
  }

  percentiles(now: number): Percentiles | null {
    this.samples = this.samples.filter((sample) => sample.at > now - WINDOW_MS);
    const ordered = this.samples.toSorted((one, other) => one.wait - other.wait);
    const total = ordered.reduce((sum, sample) => sum + sample.weight, 0);
    const at = (share: number): number => {
      let passed = 0;
      return ordered.find((sample) => (passed += sample.weight) >= share * total - 1e-9)?.wait ?? NaN;
    };
    return total > 0 ? { p50: at(0.5), p99: at(0.99) } : null;
  }
}
