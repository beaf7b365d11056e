/* Which incidents are open, the worst first, since when, and who has taken them on? Alerts say so; while they say nothing it is not
   known, and that is no empty list. */

import type { Held } from "./board";
import type { IncidentsFrame, OpenIncident } from "./frames";
import { ageOf, LIMIT_S, ms } from "./known";
import { type Level, NOTHING_YET, tooOld } from "./said";
import { age } from "./words";

const SHOWN = 4;
const LEVELS: Record<OpenIncident["severity"], Level> = { critical: "bad", error: "bad", warning: "slow", info: "slow" };

export function Incidents({ held, then, now }: { held: Held<IncidentsFrame> | undefined; then: number; now: number }) {
  const incidents = held?.data.incidents ?? null;
  const unsure = held ? (tooOld(held, LIMIT_S.other, then) ?? held.data.reason) : NOTHING_YET;
  if (incidents === null || unsure !== null) {
    return <ul className="problems incidents"><li data-level="unknown"><span className="what"><strong>Open incidents</strong> <span>unknown: {unsure}</span></span></li></ul>;
  }
  if (!incidents.length) return null;
  const shown = incidents.slice(0, SHOWN), rest = (held?.data.open ?? incidents.length) - shown.length;
  return (
    <ul className="problems incidents" aria-label="Open incidents">
      {shown.map((each) => <Incident key={each.id} incident={each} now={now} />)}
      {rest > 0 ? <li className="more">and {rest} more open</li> : null}
    </ul>
  );
}

function Incident({ incident, now }: { incident: OpenIncident; now: number }) {
  const { id, severity, title, subject, reason, opened_at: opened, acknowledged_at: taken, acknowledged_by: by, held_by: heldBy } = incident;
  const whose = taken !== null ? `acknowledged by ${by ?? "somebody"}` : heldBy === null ? "not acknowledged" : "not paged";
  return (
    <li data-level={LEVELS[severity]} data-taken={taken !== null}>
      <b className="badge">{severity}</b>
      <a className="what" href={`/alerts/${encodeURIComponent(id)}`} target="_blank" rel="noopener" title={`${subject} ${reason}`}>
        <strong>{subject}</strong> <span>{title}</span>
      </a>
      <span className="whose" title={heldBy ?? ""}>{whose}</span>
      <time>{age(ageOf(ms(opened), now))}</time>
    </li>
  );
}
