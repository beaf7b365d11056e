/* What do operators have under way, and how far is it? */

import type { Held } from "./board";
import type { Operation, OperationsFrame } from "./frames";
import { doing, progress, underWay } from "./judge";
import { ageOf, LIMIT_S, ms } from "./known";
import { age, words } from "./words";

const SHOWN = 3;

export function Operations({ held, now }: { held: Held<OperationsFrame> | undefined; now: number }) {
  if (!held) return <footer className="operations is-unknown"><span className="label">operations</span> unknown: the hub has told nothing yet</footer>;
  const old = ageOf(ms(held.data.at), now), isStale = old > LIMIT_S.other;
  const operations = underWay(held.data.operations), rest = operations.length - SHOWN;
  return (
    <footer className={isStale ? "operations is-stale" : "operations"}>
      <span className="label">operations{isStale ? `, ${age(old)} old` : ""}</span>
      {operations.length ? operations.slice(0, SHOWN).map((each) => <Row key={each.id} operation={each} />) : <span className="quiet">none under way</span>}
      {rest > 0 ? <span className="quiet">and {rest} more</span> : null}
    </footer>
  );
}

function Row({ operation }: { operation: Operation }) {
  const far = progress(operation), what = doing(operation);
  const said = `${words(operation.kind)} of ${operation.stream}, ${operation.state}${what ? `: ${what}` : ""}`;
  return (
    <span className="operation" title={said}>
      <span>{said}</span>
      {far === null ? null : <><progress max={1} value={far} aria-label={said} /><b>{Math.floor(far * 100)} %</b></>}
    </span>
  );
}
