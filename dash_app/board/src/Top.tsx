/* The first look: a word that can be read from the other end of the room. */

import type { Picture } from "./board";
import { Figure } from "./Figure";
import type { Verdict } from "./judge";
import { known, LIMIT_S, ms, unknown } from "./known";
import { clock, milliseconds } from "./words";

export function Top({ picture, verdict }: { picture: Picture; verdict: Verdict }) {
  const { now, latency, connection, toldAt, frames: { overview } } = picture;
  const alerts = overview?.data.alerts ?? null;
  const open = alerts ? known(alerts.open, ms(alerts.at)) : unknown(overview ? "alerts has not said lately" : "the hub has told nothing yet");
  const note = alerts?.open ? `${alerts.critical} critical, ${alerts.acknowledged} acknowledged` : "";
  return (
    <header className="top">
      <h1 className="verdict" data-level={verdict.level}>{verdict.word}</h1>
      <p className="detail" title={verdict.detail}>{verdict.detail}</p>
      <Figure label="open incidents" known={open} now={now} limitS={LIMIT_S.hop} write={String} note={note}
        level={alerts?.critical ? "bad" : alerts?.open ? "slow" : "good"} />
      <Figure label="event → pixel, p50 · p99" now={now} limitS={LIMIT_S.hop} level="good" note="measured here, last 5 min"
        known={latency ? known(latency.p50, connection === "live" ? now : (toldAt ?? 0)) : unknown("no event was drawn lately")}
        write={() => milliseconds(latency!.p50, latency!.p99)} />
      <time className="clock">{clock(now)}<small>UTC</small></time>
    </header>
  );
}
