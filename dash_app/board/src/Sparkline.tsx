/* Events a second over five minutes: a line with holes where nobody measured. */

import { type Rate, WINDOW_MS } from "./rates";
import { count } from "./words";

const WIDTH = 300, HEIGHT = 60;

export function Sparkline({ rates, now }: { rates: Rate[]; now: number }) {
  const top = Math.max(0, ...rates.map((rate) => rate.perS ?? 0));
  const x = (at: number): number => WIDTH * (1 - (now - at) / WINDOW_MS);
  const y = (perS: number): number => HEIGHT - 2 - (top ? (perS / top) * (HEIGHT - 4) : 0);
  let isBroken = true;
  const path = rates.map(({ at, perS }) => {
    if (perS === null) isBroken = true;
    const step = perS === null ? "" : `${isBroken ? "M" : "L"}${x(at).toFixed(1)} ${y(perS).toFixed(1)}`;
    if (perS !== null) isBroken = false;
    return step;
  }).join("");
  return (
    <figure className="spark">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label="events a second, last 5 minutes"><path d={path} /></svg>
      <figcaption>last 5 min{top ? `, at most ${count(top)}/s` : ""}</figcaption>
    </figure>
  );
}
