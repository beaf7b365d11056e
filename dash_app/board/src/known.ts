/* A number on the board is known, with the time that it is of, or unknown, with the reason. There is no third. */

export type Known = { value: number; at: number } | { value: null; reason: string };

export const known = (value: number, at: number): Known => ({ value, at });
export const unknown = (reason: string): Known => ({ value: null, reason });

/* How old may what a topic says be, by its own time, before it is drawn stale? The hub tells the overview each second, the others
   every five seconds, whether something has changed or not; hops are measured each second. */
export const LIMIT_S = { overview: 5, hop: 10, other: 15 } as const;

export const ageOf = (at: number, now: number): number => Math.max(0, (now - at) / 1000);
export const ms = (iso: string): number => Date.parse(iso);
