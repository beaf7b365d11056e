/* One stream: does it flow, is it fresh, is it right, and what is in it. */

import type { Frames } from "./board";
import { Chart } from "./Chart";
import type { StreamConfig } from "./config";
import { Figure } from "./Figure";
import { chartFrame, type HopLook, type StreamLook } from "./judge";
import { ageOf, LIMIT_S } from "./known";
import type { Rate } from "./rates";
import type { Level } from "./said";
import { Sparkline } from "./Sparkline";
import { age, count, seconds, share } from "./words";

interface Props {
  stream: StreamConfig;
  look: StreamLook;
  frames: Frames;
  rates: Rate[];
  now: number;
}

export function StreamCard({ stream, look, frames, rates, now }: Props) {
  const { ledger, gates, freshness, valid } = look;
  return (
    <section className="card" data-level={look.level} data-stream={stream.name}>
      <div className="head">
        <h2 title={stream.title}>{stream.title}</h2>
        <span className="badge" data-level={ledger.level}>ledger {ledger.word}</span>
        <span className="why" data-level={ledger.level} title={ledger.reason}>{ledger.reason}</span>
      </div>
      <div className="figures">
        <Figure label="events a second" known={look.rate} now={now} limitS={LIMIT_S.hop} write={count} />
        <Sparkline rates={rates} now={now} />
        <Figure label="newest event" known={freshness} now={now} limitS={LIMIT_S.hop} write={(value) => `${age(value)} ago`}
          level={freshness.level} note={freshness.note} />
        <Figure label="valid" known={valid} now={now} limitS={LIMIT_S.hop} write={share} level={valid.level} note={valid.note} />
      </div>
      <div className="hops">
        {look.hops.map((hop) => <HopBox key={hop.name} hop={hop} now={now} />)}
        <Hop name="gates" level={gates.level} word={gates.word} small={gates.reason} title={gates.reason} />
      </div>
      <div className="hops promises">
        {look.promises.map(({ name, level, word, reason }) => <Hop key={name} name={name} level={level} word={word} small={reason} title={reason} />)}
      </div>
      <Chart stream={stream} held={chartFrame(stream, frames)} now={now} />
    </section>
  );
}

/* The word is the verdict over a window. The number keeps the time that it is of. */
function HopBox({ hop: { name, lag, level, word, reason }, now }: { hop: HopLook; now: number }) {
  const old = lag.value === null ? 0 : ageOf(lag.at, now), isStale = old > LIMIT_S.hop;
  const behind = lag.value === null ? reason : `${lag.value === 0 ? "0 s" : seconds(lag.value)} lag${isStale ? `, ${age(old)} old` : ""}`;
  return <Hop name={name} level={level} word={word} small={behind} title={reason} isStale={isStale} />;
}

function Hop({ name, level, word, small, title, isStale = false }: { name: string; level: Level; word: string; small: string; title: string; isStale?: boolean }) {
  return (
    <div className={isStale ? "hop is-stale" : "hop"} data-level={level} data-hop={name} title={title}>
      <span className="label">{name}</span>
      <b>{word}</b>
      <small>{small}</small>
    </div>
  );
}
