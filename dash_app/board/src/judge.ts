/* Is all well, and if not, what and where? Pure: everything is judged from the newest frames and the time. What is known and wrong
   comes before what is not known, and that before "ok": nothing is called well that was not seen to be. */

import type { Connection, Frames, Held } from "./board";
import { liveTopic, type StreamConfig } from "./config";
import type { GateState, HopMeasured, LiveFrame, Operation, OverviewFrame, StreamState } from "./frames";
import { ageOf, known, type Known, LIMIT_S, ms, unknown } from "./known";
import { promiseLooks, type PromiseLook } from "./promises";
import { isAbout, type Level, NOTHING_YET, notKnown, type Said, tooOld, worst } from "./said";
import { age, seconds, several, share, words } from "./words";

export interface HopLook extends Said {
  name: string;
  lag: Known;
}

export interface StreamLook {
  name: string;
  level: Level;
  rate: Known;
  freshness: Known & { level: Level; note: string };
  valid: Known & { level: Level; note: string };
  ledger: Said;
  gates: Said;
  hops: HopLook[];
  promises: PromiseLook[];
  unknowns: string[];
}

export interface Verdict {
  level: Level;
  word: string;
  detail: string;
}

/* ---- a stream ---- */

/* `then` is the time to judge by: while there is a connection it is now, and else the time that all on the board is of. Numbers
   keep their own time, so they turn stale by themselves; a word that nobody confirms is unknown. */
export function streamLook(config: StreamConfig, frames: Frames, then: number, now: number): StreamLook {
  const { name } = config, overview = frames.overview?.data;
  const stream = overview?.streams.find((each) => each.name === name);
  const missing = frames.overview ? "the hub does not tell of this stream" : NOTHING_YET;
  const ledger = ledgerSaid(stream, missing, frames.overview, then);
  const rate = hopRate(stream, "raw", missing);
  const hops = HOPS.map(([part, hop]) => hopLook(part, name, hop, frames.lag, then));
  const freshness = freshnessOf(config, frames, stream, rate, now);
  const valid = validOf(name, stream, frames.quality, missing);
  const gates = gatesSaid(name, frames.quality, then);
  const promises = promiseLooks(name, frames.latency, then);
  const isNamed = [...(overview?.problems ?? []), ...(frames.incidents?.data.incidents ?? [])].some(({ subject }) => isAbout(subject, name));
  const level = worst([
    ledger.level, freshness.level, valid.level, ...hops.map((hop) => hop.level), rate.value === null ? "unknown" : "good",
    /* A gate that has not judged yet is no trouble: nothing has come to it. A service level takes minutes to be judged. */
    ...[gates, ...promises].map((each) => (each.level === "unknown" ? "good" : each.level)), isNamed ? "slow" : "good",
  ]);
  const unknowns = [
    ...(ledger.level === "unknown" ? [`ledger of ${name}: ${ledger.reason}`] : []),
    ...(rate.value === null ? [`events of ${name}: ${rate.reason}`] : []),
    ...(freshness.value === null && freshness.level === "unknown" ? [`newest event of ${name}: ${freshness.reason}`] : []),
    ...(valid.value === null && valid.level === "unknown" ? [`valid share of ${name}: ${valid.reason}`] : []),
    ...hops.filter((hop) => hop.level === "unknown").map((hop) => `lag of ${hop.name} ${name}: ${hop.reason}`),
  ];
  return { name, level, rate, freshness, valid, ledger, gates, hops, promises, unknowns };
}

const LEDGER = { balanced: "good", in_flight: "good", unbalanced: "bad", unknown: "unknown" } as const;

function ledgerSaid(stream: StreamState | undefined, missing: string, held: Frames["overview"], then: number): Said {
  if (!stream || !held) return notKnown(missing);
  const old = tooOld(held, LIMIT_S.overview, then);
  if (old !== null) return notKnown(`${old}; it was ${words(stream.verdict)}`);
  return { level: LEDGER[stream.verdict], word: words(stream.verdict), reason: stream.verdict_reason };
}

function hopRate(stream: StreamState | undefined, name: HopMeasured["hop"], missing: string): Known {
  const hop = stream?.hops.find((each) => each.hop === name);
  if (!hop) return unknown(missing);
  return hop.events_per_s === null ? unknown(hop.reason ?? "not measured") : known(hop.events_per_s, ms(hop.at));
}

/* Of what route wrote in the last seconds, how much is valid? What is promised is promised of weeks, and alerts judges that; seconds
   go below it by chance, so only twice the share that may be wrong is something to look at. */
const GLARING = 2;
function validOf(name: string, stream: StreamState | undefined, quality: Frames["quality"], missing: string): StreamLook["valid"] {
  const promised = quality?.data.streams.find((each) => each.name === name)?.validity;
  const note = promised === undefined ? "" : `promised ${share(promised)}`;
  const valid = hopRate(stream, "valid", missing), dead = hopRate(stream, "dead", missing), held = hopRate(stream, "quarantine", missing);
  if (valid.value === null) return { ...valid, level: "unknown", note };
  if (dead.value === null) return { ...dead, level: "unknown", note };
  if (held.value === null) return { ...held, level: "unknown", note };
  const sum = valid.value + dead.value + held.value;
  if (sum === 0) return { ...unknown("nothing comes in"), level: "good", note };
  const part = valid.value / sum;
  return { ...known(part, Math.min(valid.at, dead.at, held.at)), level: promised !== undefined && 1 - part > GLARING * (1 - promised) ? "slow" : "good", note };
}

/* How old is the newest of what readers see? By event time where a clock of today made it; of a replay by its arrival. It is late
   only while something comes in: what has ended gets older and that is no fault. The hub tells a rollup only when it has something
   new, so it is as sure as the hub's last word on anything. */
const CLOCK_LIKE_MS = 60_000;
function freshnessOf(config: StreamConfig, frames: Frames, stream: StreamState | undefined, rate: Known, now: number): StreamLook["freshness"] {
  const note = `promised ${seconds(config.freshness_s)}`, frame = chartFrame(config, frames)?.data;
  if (config.rollup === null) return { ...unknown("it has no rollup"), level: "good", note };
  const { event_ms: event = null, raw_ms: raw = null } = frame?.reason === null ? frame.marks : {};
  if (event === null || raw === null) {
    return { ...unknown(frame ? (frame.reason ?? "no event has arrived yet") : NOTHING_YET), level: rate.value === 0 ? "good" : "unknown", note };
  }
  const old = ageOf(Math.abs(raw - event) < CLOCK_LIKE_MS ? event : raw, now);
  const said = known(old, frames.overview ? ms(frames.overview.data.at) : 0);
  if (stream?.feed_ended) return { ...said, level: "good", note: "the feed has ended" };
  if (rate.value === 0) return { ...said, level: "good", note: "nothing comes in" };
  return { ...said, level: old > config.freshness_s ? "bad" : "good", note };
}

const HOPS = [["route", "valid"], ["lake", "lake"], ["live", "serving"]] as const;
const LAG = {
  ok: ["good", "ok"], unknown: ["unknown", "unknown"], warn: ["slow", "behind"], rewind: ["slow", "went back"],
  stall: ["bad", "stalled"], stop: ["bad", "stopped"],
} as const;

function hopLook(name: string, stream: string, hop: string, held: Frames["lag"], then: number): HopLook {
  if (!held) return { name, ...notKnown(NOTHING_YET), lag: unknown(NOTHING_YET) };
  const found = held.data.consumers.find(({ lag }) => lag.stream === stream && lag.hop === hop);
  if (!found) {
    const reason = held.data.reason ?? "the lag monitor does not name it";
    return { name, ...notKnown(reason), lag: unknown(reason) };
  }
  const { lag, is_stale: isStale } = found, [level, word] = LAG[lag.verdict], reason = lag.reason ?? "";
  const old = tooOld(held, LIMIT_S.other, then) ?? (isStale ? `not confirmed for ${age(ageOf(ms(lag.at), then))}` : null);
  const behind = lag.lag_s === null ? unknown(reason || "not measured") : known(lag.lag_s, ms(lag.at));
  return old === null ? { name, level, word, reason, lag: behind } : { name, ...notKnown(`${old}; it was ${word}`), lag: behind };
}

const GATES = {
  passed: ["good", "pass"], warned: ["slow", "warns"], let_through: ["slow", "lets through"], diverted: ["slow", "diverts"],
  halted: ["bad", "halts"], misconfigured: ["bad", "misconfigured"],
} as const;

function gatesSaid(name: string, held: Frames["quality"], then: number): Said {
  if (!held) return notKnown(NOTHING_YET);
  const old = tooOld(held, LIMIT_S.other, then), gates = held.data.streams.find((each) => each.name === name)?.gates ?? [];
  if (old !== null) return notKnown(old);
  if (!gates.length) return { level: "good", word: "none", reason: "" };
  const said = gates.map(gateSaid), level = worst(said.map((each) => each.level));
  return level === "good" ? { level, word: "pass", reason: `all ${gates.length}` } : said.find((each) => each.level === level)!;
}

function gateSaid(gate: GateState): Said {
  const name = gate.table === null ? gate.stage : `${gate.stage} of ${gate.table}`;
  const saying = (reason: string | null): string => (reason === null ? name : `${name}: ${reason}`);
  if (gate.breaker?.state === "open") return { level: "bad", word: "breaker open", reason: saying(gate.breaker.reason) };
  if (!gate.last) return notKnown(`${name} has not judged yet`);
  const [level, word] = GATES[gate.last.outcome];
  if (gate.is_stale) return notKnown(`${name} has not judged lately; last: ${word}`);
  return { level, word, reason: saying(gate.last.reason) };
}

/* ---- the platform ---- */

export function platform(connection: Connection, held: Held<OverviewFrame> | undefined, looks: StreamLook[], now: number): Verdict {
  if (connection !== "live") return { level: "unknown", word: "Not connected", detail: "How things are now is not known." };
  const old = held ? tooOld(held, LIMIT_S.overview, now) : NOTHING_YET;
  if (!held || old !== null) return { level: "unknown", word: "Unknown", detail: `${old}.` };
  const { problems, alerts, reason } = held.data;
  if (problems.length) return { level: "bad", word: several(problems.length, "problem"), detail: "" };
  if (alerts?.open) return { level: "bad", word: `${several(alerts.open, "incident")} open`, detail: "Nothing else is known to be wrong." };
  const unknowns = [
    ...(reason === null ? [] : [reason]), ...(alerts === null ? ["incidents: alerts has not said how many are open"] : []),
    ...looks.flatMap((look) => look.unknowns),
  ];
  if (unknowns[0] !== undefined) return { level: "unknown", word: "Unknown", detail: unknowns[0] + (unknowns.length > 1 ? `, and ${unknowns.length - 1} more` : "") };
  const bad = looks.filter((look) => look.level !== "good").length;
  if (bad) return { level: worst(looks.map((look) => look.level)), word: `${several(bad, "stream")} to look at`, detail: "" };
  const unjudged = [...unjudgedOf("gates", looks, ({ gates }) => [gates]), ...unjudgedOf("service levels", looks, ({ promises }) => promises)];
  return { level: "good", word: "OK", detail: `Nothing is wrong.${unjudged.length ? ` Not known: ${unjudged.join("; ")}.` : ""}` };
}

function unjudgedOf(what: string, looks: StreamLook[], of: (look: StreamLook) => Said[]): string[] {
  const names = looks.filter((look) => of(look).some(({ level }) => level === "unknown")).map(({ name }) => name);
  return names.length ? [`${what} of ${names.join(", ")}`] : [];
}

/* ---- operations ---- */

const ENDED: readonly Operation["state"][] = ["done", "cancelled", "failed"];
export const underWay = (operations: Operation[]): Operation[] => operations.filter(({ state }) => !ENDED.includes(state));

/* Stages count alike; the one that runs by how far it is. None while there is no plan. */
export function progress({ stages }: Operation): number | null {
  if (!stages.length) return null;
  const parts = stages.map(({ state, done, total }) => (state === "done" ? 1 : state === "running" && done !== null && total ? Math.min(1, done / total) : 0));
  return parts.reduce((sum, part) => sum + part, 0) / stages.length;
}

export function doing({ stages, waits_for, state }: Operation): string {
  if (waits_for !== null) return `waits for ${waits_for}`;
  const running = stages.find((stage) => stage.state === "running");
  return running ? running.note || running.key : state === "planned" ? "waits for its confirmation" : "";
}

export const chartFrame = (config: StreamConfig, frames: Frames): Held<LiveFrame> | undefined => {
  const topic = liveTopic(config);
  return topic === null ? undefined : frames.live.get(topic);
};
