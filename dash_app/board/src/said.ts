/* How is a thing, in a word, and why? What nobody has said, or not lately, is unknown: that word has a reason as well. */

import type { Held } from "./board";
import { ageOf, ms } from "./known";
import { age } from "./words";

export type Level = "good" | "unknown" | "slow" | "bad";
const WORST: readonly Level[] = ["bad", "slow", "unknown", "good"];
export const worst = (levels: Level[]): Level => WORST.find((level) => levels.includes(level)) ?? "good";

export interface Said {
  level: Level;
  word: string;
  reason: string;
}

export const NOTHING_YET = "the hub has told nothing yet";
export const notKnown = (reason: string): Said => ({ level: "unknown", word: "unknown", reason });

export function tooOld(held: Held<{ at: string }>, limitS: number, then: number): string | null {
  const old = ageOf(ms(held.data.at), then);
  return old > limitS ? `the hub has told nothing for ${age(old)}` : null;
}

/* `ledger of shop`, `shop.raw`, `lake shop`, `shop/lake`: a subject names the stream as a word. */
export const isAbout = (subject: string, stream: string): boolean => subject.split(/[\s.,/]+/).includes(stream);
