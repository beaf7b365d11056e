/* What is wrong, the worst first, as the hub ranks it. There is room for a few; how many more there are is said. */

import type { OverviewFrame } from "./frames";
import { ms } from "./known";
import { moment } from "./words";

const SHOWN = 4;

export function Problems({ overview, missing, now }: { overview: OverviewFrame | undefined; missing: string[]; now: number }) {
  const problems = overview?.problems ?? [], rest = problems.length - SHOWN;
  if (!problems.length && !missing.length) return null;
  return (
    <ul className="problems">
      {missing.map((name) => <li key={name} data-level="unknown"><span className="what"><strong>{name}</strong> <span>is no stream; it was asked for by ?streams=</span></span></li>)}
      {problems.slice(0, SHOWN).map(({ subject, reason, since, page }) => (
        <li key={`${subject} ${page}`} data-level="bad">
          <a className="what" href={page} target="_blank" rel="noopener" title={`${subject} ${reason}`}><strong>{subject}</strong> <span>{reason}</span></a>
          {since === null ? null : <time>since {moment(ms(since), now)} UTC</time>}
        </li>
      ))}
      {rest > 0 ? <li className="more">and {rest} more</li> : null}
    </ul>
  );
}
