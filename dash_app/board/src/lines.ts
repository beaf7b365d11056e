/* Which lines does a frame make? What adds up is stacked, the largest at the bottom; a bucket that still fills is left out: drawn, it
   would always look like a fall. Full are those that ended before the frame's mark, up to which every partition's events are in it. */

import type { AlignedData } from "uplot";
import type { MainRollup } from "./config";
import type { LiveFrame } from "./frames";

export interface Line {
  name: string;
  values: (number | null)[];
}

export const adds = ({ function: name }: MainRollup): boolean => name === "count" || name === "sum";
/* A partition that is further behind than this is told by its lag: the chart does not wait for it. */
const WAITS_FOR = 5;
function whole({ buckets, bucket_s: width, marks }: LiveFrame): number {
  const until = (marks.event_ms ?? Infinity) / 1000, full = buckets.slice(0, -1).filter((start) => start + width <= until).length;
  return Math.max(1, full, buckets.length - WAITS_FOR);
}

/* By name, so that a line keeps its colour while its size changes. */
export function lines(frame: LiveFrame, rollup: MainRollup): Line[] {
  const full = whole(frame);
  return frame.series
    .map(({ key, measures }) => ({ name: key.join(" · ") || rollup.measure, values: (measures[rollup.measure] ?? []).slice(0, full) }))
    .filter((line) => line.values.some((value) => value !== null))
    .toSorted((one, other) => Number(isRest(one)) - Number(isRest(other)) || (one.name < other.name ? -1 : 1));
}
const isRest = ({ name }: Line): boolean => name.startsWith("(other)");

/* uPlot's data: times, then the lines; stacked ones are sums, the highest first. */
export function stacks(frame: LiveFrame, rollup: MainRollup): AlignedData {
  const values = lines(frame, rollup).map((line) => line.values), starts = frame.buckets.slice(0, whole(frame));
  if (!adds(rollup)) return [starts, ...values];
  const sums: number[][] = [];
  for (const line of values.toReversed()) {
    const below = sums[0];
    sums.unshift(line.map((value, index) => (value ?? 0) + (below?.[index] ?? 0)));
  }
  return [starts, ...sums];
}

/* All that the lines depend on, as one string: what has not changed is not drawn again. */
export function picture(frame: LiveFrame, rollup: MainRollup): string {
  const full = whole(frame);
  return `${frame.buckets[0]} ${full} ${JSON.stringify(frame.series.map(({ key, measures }) => [key, measures[rollup.measure]?.slice(0, full)]))}`;
}
