/* Nothing on the board is how things are now: since when, and of when it is. */

import type { Picture } from "./board";
import { ageOf } from "./known";
import { age, moment } from "./words";

const PATIENT_S = 2;

export function Lost({ picture: { now, connection, lostAt, toldAt, reason } }: { picture: Picture }) {
  if (connection === "live" || lostAt === null) return null;
  const gone = ageOf(lostAt, now);
  if (connection === "connecting" && gone < PATIENT_S) return null;
  const seen = toldAt === null ? "nothing is known yet" : `what you see is from ${moment(toldAt, now)} UTC`;
  const place = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  if (connection === "refused") {
    return <div className="lost" role="alert">refused: {reason ?? "nobody is signed in"}; {seen} <a href={place}>Sign in</a></div>;
  }
  const what = connection === "resuming" ? `connected again, was away for ${age(gone)}` : `no connection for ${age(gone)}`;
  return <div className="lost" role="alert" title={reason ?? ""}>{what}; {seen}</div>;
}
