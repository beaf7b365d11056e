/* One number with its name. What is not known says so and why; what is older than its limit is hatched and says how old it is. */

import type { Level } from "./said";
import { ageOf, type Known } from "./known";
import { age } from "./words";

interface Props {
  label: string;
  known: Known;
  now: number;
  limitS: number;
  write: (value: number) => string;
  level?: Level;
  note?: string;
}

export function Figure({ label, known, now, limitS, write, level = "good", note = "" }: Props) {
  if (known.value === null) {
    return (
      <div className="figure is-unknown" data-figure={label}>
        <span className="label">{label}</span>
        <b>unknown</b>
        <small title={known.reason}>{known.reason}</small>
      </div>
    );
  }
  const old = ageOf(known.at, now), isStale = old > limitS, said = isStale ? `${age(old)} old` : note;
  return (
    <div className={isStale ? "figure is-stale" : "figure"} data-figure={label} data-level={level}>
      <span className="label">{label}</span>
      <b>{write(known.value)}</b>
      <small title={said}>{said}</small>
    </div>
  );
}
