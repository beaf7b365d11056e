/* Is all well, and if not, what and where? Pure: everything is judged from the newest frames and the time. What is known and wrong
   comes before what is not known, and that before "ok": nothing is called well that was not seen to be. */

import type { Connection, Frames, Held } from "./board";
import type { StreamConfig } from "./config";
import { liveTopic } from "./config";
import type {
  ConsumerState, GateState, HopMeasured, LagFrame, LiveFrame, Operation, OverviewFrame, QualityFrame, StreamState,
} from "./frames";
import { ageOf, known, type Known, LIMIT_S, ms, unknown } from "./known";
import { age, seconds, several, words } from "./words";

export type Level = "good" | "unknown" | "slow" | "bad";
const WORST: readonly Level[] = ["bad", "slow", "unknown", "good"];
export const worst = (levels: Level[]): Level => WORST.find((level) => levels.includes(level)) ?? "good";

export interface Said {
  level: Level;
  word: string;
  reason: string;
}

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
  unknowns: string[];
}

export interface Verdict {
  level: Level;
  word: string;
  detail: string;
}

/* ---- a stream ---- */

export function streamLook(config: StreamConfig, frames: Frames, now: number): StreamLook {
  const overview = fresh(frames.overview, LIMIT_S.overview, now);
  const stream = overview?.streams.find((each) => each.name === config.name) ?? null;
  const reason = frames.overview ? "the hub does not tell of this stream now" : "the hub has told nothing yet";
  const ledger = ledgerSaid(stream, reason);
  const rate = hopRate(stream, "raw", reason);
  const hops = HOPS.map(([name, hop]) => hopLook(name, config.name, hop, frames.lag, now));
  const freshness = freshnessOf(config, frames, stream, rate, now);
  const gates = gatesSaid(config.name, frames.quality, now);
  const valid = validOf(config.name, stream, frames.quality, reason);
  const unknowns = [
    ...(ledger.level === "unknown" ? [`ledger of ${config.name}: ${ledger.reason}`] : []),
    ...(rate.value === null ? [`events of ${config.name}: ${rate.reason}`] : []),
    ...hops.filter((hop) => hop.level === "unknown").map((hop) => `lag of ${hop.name} ${config.name}: ${hop.reason}`),
  ];
  const named = overview?.problems.some((problem) => isAbout(problem.subject, config.name)) ?? false;
  const level = worst([
    ledger.level, freshness.level, valid.level, gates.level === "unknown" ? "good" : gates.level, ...hops.map((hop) => hop.level),
    named ? "slow" : "good", rate.value === null ? "unknown" : "good",
  ]);
  return { name: config.name, level, rate, freshness, valid, ledger, gates, hops, unknowns };
}

/* `ledger of shop`, `shop.raw`, `lake shop`: a problem's subject names the stream as a word. */
const isAbout = (subject: string, stream: string): boolean => subject.split(/[\s.,]+/).includes(stream);

function fresh<T extends { at: string }>(held: Held<T> | undefined, limitS: number, now: number): T | null {
  return held && ageOf(ms(held.data.at), now) <= limitS ? held.data : null;
}

function ledgerSaid(stream: StreamState | null, missing: string): Said {
  if (!stream) return { level: "unknown", word: "unknown", reason: missing };
  const level = { balanced: "good", in_flight: "good", unbalanced: "bad", unknown: "unknown" } as const;
  return { level: level[stream.verdict], word: words(stream.verdict), reason: stream.verdict_reason };
}

const hopOf = (stream: StreamState | null, name: HopMeasured["hop"]): HopMeasured | undefined =>
  stream?.hops.find((hop) => hop.hop === name);

function hopRate(stream: StreamState | null, name: HopMeasured["hop"], missing: string): Known {
  const hop = hopOf(stream, name);
  if (!hop) return unknown(missing);
  return hop.events_per_s === null ? unknown(hop.reason ?? "not measured") : known(hop.events_per_s, ms(hop.at));
}

/* Of what route wrote in the last seconds, how much is valid? */
function validOf(name: string, stream: StreamState | null, quality: Held<QualityFrame> | undefined, missing: string): StreamLook["valid"] {
  const promised = quality?.data.streams.find((each) => each.name === name)?.validity ?? null;
  const note = promised === null ? "" : `promised ${Number((promised * 100).toFixed(2))} %`;
  const [valid, dead, quarantined] = (["valid", "dead", "quarantine"] as const).map((hop) => hopRate(stream, hop, missing));
  for (const rate of [valid, dead, quarantined]) if (!rate || rate.value === null) return { ...unknown(rate?.reason ?? missing), level: "unknown", note };
  const sum = valid!.value! + dead!.value! + quarantined!.value!;
  if (sum === 0) return { ...unknown("nothing comes in"), level: "good", note };
  const share = valid!.value! / sum;
  return { ...known(share, (valid as { at: number }).at), level: promised !== null && share < promised ? "slow" : "good", note };
}

/* How old is the newest of what readers see? By event time where a clock of today made it; of a replay by its arrival. It is late
   only while something comes in: what has ended gets older and that is no fault. */
const CLOCK_LIKE_MS = 60_000;
function freshnessOf(config: StreamConfig, frames: Frames, stream: StreamState | null, rate: Known, now: number): StreamLook["freshness"] {
  const topic = liveTopic(config), note = `promised ${seconds(config.freshness_s)}`;
  if (topic === null) return { ...unknown("it has no rollup"), level: "good", note };
  const frame = frames.live.get(topic)?.data;
  if (!frame || frame.reason !== null) return { ...unknown(frame?.reason ?? "the hub has told nothing yet"), level: "unknown", note };
  const { event_ms: event, raw_ms: raw } = frame.marks;
  if (event === null || raw === null) return { ...unknown("no event has arrived yet"), level: "unknown", note };
  const at = Math.abs(raw - event) < CLOCK_LIKE_MS ? event : raw, old = ageOf(at, now);
  if (stream?.feed_ended) return { ...known(old, now), level: "good", note: "the feed has ended" };
  if (rate.value === 0) return { ...known(old, now), level: "good", note: "nothing comes in" };
  return { ...known(old, now), level: old > config.freshness_s ? "bad" : "good", note };
}

const HOPS = [["route", "valid"], ["lake", "lake"], ["live", "serving"]] as const;
const LAG = {
  ok: ["good", "ok"], unknown: ["unknown", "unknown"], warn: ["slow", "falls behind"], rewind: ["slow", "went back"],
  stall: ["bad", "stands still"], stop: ["bad", "stopped"],
} as const;

function hopLook(name: string, stream: string, hop: string, held: Held<LagFrame> | undefined, now: number): HopLook {
  const frame = fresh(held, LIMIT_S.other, now);
  const found = frame?.consumers.find(({ lag }) => lag.stream === stream && lag.hop === hop);
  const missing = !held ? "the hub has told nothing yet" : !frame ? "the hub has told nothing lately" : (frame.reason ?? "the lag monitor does not name it");
  if (!found) return { name, level: "unknown", word: "unknown", reason: missing, lag: unknown(missing) };
  return { name, ...consumerSaid(found, now) };
}

function consumerSaid({ lag, is_stale }: ConsumerState, now: number): Said & { lag: Known } {
  if (is_stale) {
    const reason = `not confirmed for ${age(ageOf(ms(lag.at), now))}`;
    return { level: "unknown", word: "unknown", reason, lag: unknown(reason) };
  }
  const [level, word] = LAG[lag.verdict], reason = lag.reason ?? "";
  return { level, word, reason, lag: lag.lag_s === null ? unknown(reason || "not measured") : known(lag.lag_s, ms(lag.at)) };
}

const GATES = {
  passed: ["good", "pass"], warned: ["slow", "warns"], let_through: ["slow", "lets through"], diverted: ["slow", "diverts"],
  halted: ["bad", "halts"], misconfigured: ["bad", "misconfigured"],
} as const;

function gatesSaid(name: string, held: Held<QualityFrame> | undefined, now: number): Said {
  const gates = fresh(held, LIMIT_S.other, now)?.streams.find((each) => each.name === name)?.gates;
  if (!gates) return { level: "unknown", word: "unknown", reason: held ? "the hub has told nothing lately" : "the hub has told nothing yet" };
  if (!gates.length) return { level: "good", word: "none", reason: "" };
  const said = gates.map(gateSaid), level = worst(said.map((each) => each.level));
  return level === "good" ? { level, word: "pass", reason: `all ${gates.length}` } : said.find((each) => each.level === level)!;
}

function gateSaid(gate: GateState): Said {
  const name = gate.table === null ? gate.stage : `${gate.stage} of ${gate.table}`;
  const saying = (reason: string | null): string => (reason === null ? name : `${name}: ${reason}`);
  if (gate.breaker?.state === "open") return { level: "bad", word: "breaker open", reason: saying(gate.breaker.reason) };
  if (!gate.last) return { level: "unknown", word: "unknown", reason: `${name} has not judged yet` };
  const [level, word] = GATES[gate.last.outcome];
  if (gate.is_stale) return { level: "unknown", word: "unknown", reason: `${name} has not judged lately; last: ${word}` };
  return { level, word, reason: saying(gate.last.reason) };
}

/* ---- the platform ---- */

export function platform(connection: Connection, held: Held<OverviewFrame> | undefined, looks: StreamLook[], now: number): Verdict {
  if (connection === "refused") return { level: "unknown", word: "Signed out", detail: "Sign in to see how things are." };
  if (connection !== "live") return { level: "unknown", word: "Not connected", detail: "How things are now is not known." };
  if (!held) return { level: "unknown", word: "Unknown", detail: "The hub has told nothing yet." };
  const old = ageOf(ms(held.data.at), now);
  if (old > LIMIT_S.overview) return { level: "unknown", word: "Unknown", detail: `The hub has told nothing for ${age(old)}.` };
  const { problems, alerts, reason } = held.data;
  if (problems.length) return { level: "bad", word: several(problems.length, "problem"), detail: "" };
  if (alerts?.open) return { level: "bad", word: `${several(alerts.open, "incident")} open`, detail: "Nothing is wrong right now." };
  const unknowns = [
    ...(reason === null ? [] : [reason]), ...(alerts === null ? ["incidents: alerts has not said how many are open"] : []),
    ...looks.flatMap((look) => look.unknowns),
  ];
  if (unknowns[0] !== undefined) return { level: "unknown", word: "Unknown", detail: unknowns[0] + (unknowns.length > 1 ? `, and ${unknowns.length - 1} more` : "") };
  const bad = looks.filter((look) => look.level !== "good").length;
  if (bad) return { level: worst(looks.map((look) => look.level)), word: `${several(bad, "stream")} to look at`, detail: "" };
  const unjudged = looks.filter((look) => look.gates.level === "unknown").map((look) => look.name);
  return { level: "good", word: "OK", detail: `Nothing is wrong.${unjudged.length ? ` Not known: gates of ${unjudged.join(", ")}.` : ""}` };
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
