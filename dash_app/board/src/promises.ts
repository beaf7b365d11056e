/* Are a stream's service levels kept, how fast are their budgets spent, and what is left of them? The hub judges (BurnJudged); here
   it becomes a word. */

import type { Held } from "./board";
import type { BurnJudged, Hop, LatencyFrame } from "./frames";
import { ageOf, LIMIT_S, ms } from "./known";
import { NOTHING_YET, notKnown, type Said, tooOld } from "./said";
import { age, rate, share } from "./words";

export interface PromiseLook extends Said {
  name: string;
}

const VERDICTS = { kept: ["good", "kept"], burns: ["slow", "burns"], burns_fast: ["bad", "burns fast"], unknown: ["unknown", "unknown"] } as const;
const FRESH: Partial<Record<Hop, string>> = { lake: "fresh in lake", serving: "fresh served" };

export function promiseLooks(stream: string, held: Held<LatencyFrame> | undefined, then: number): PromiseLook[] {
  const burns = held?.data.streams.find((each) => each.name === stream)?.burns ?? [];
  if (!held || !burns.length) return [{ name: "service levels", ...notKnown(held ? "nothing was judged yet" : NOTHING_YET) }];
  const silence = tooOld(held, LIMIT_S.other, then);
  return burns.map((burn) => ({ name: nameOf(burn), ...saidOf(burn, silence, then) }));
}

const nameOf = ({ level, hop }: BurnJudged): string => (hop === null ? level : (FRESH[hop] ?? `${level} ${hop}`));

function saidOf(burn: BurnJudged, silence: string | null, then: number): Said {
  const old = ageOf(ms(burn.at), then), [level, word] = VERDICTS[burn.verdict];
  const unsure = silence ?? (old > LIMIT_S.other ? `not judged for ${age(old)}` : null);
  if (unsure !== null) return notKnown(`${unsure}; it was ${word}`);
  if (level === "unknown") return notKnown(burn.reason ?? "not measured");
  const reason = `${left(burn.budget_left)}, ${spent(burn)}`;
  const isOverdrawn = level === "good" && burn.budget_left !== null && burn.budget_left < 0;
  return isOverdrawn ? { level: "slow", word: "overdrawn", reason } : { level, word, reason };
}

/* The windows of the two paces that are too fast: an hour, and six. */
const spent = ({ rates }: BurnJudged): string => `1\u2009h ${rate(rates["1h"] ?? null)} \u00b7 6\u2009h ${rate(rates["6h"] ?? null)}`;
const left = (budget: number | null): string => (budget === null ? "budget unknown" : `${share(budget)} left`);
