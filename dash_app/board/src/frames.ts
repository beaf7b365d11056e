/* What the board uses of the frames that the hub pushes: the same names as the models of controlplane/contract, which a test
   holds (tests/unit/test_wall.py). Fields that are not used are not named. Times are ISO 8601 in UTC. */

export type Hop = "raw" | "valid" | "dead" | "quarantine" | "lake" | "serving";
export type IncidentSeverity = "critical" | "error" | "warning" | "info";
export type BurnVerdict = "kept" | "burns" | "burns_fast" | "unknown";
export type Verdict = "balanced" | "in_flight" | "unbalanced" | "unknown";
export type LagVerdict = "ok" | "unknown" | "warn" | "rewind" | "stall" | "stop";
export type Outcome = "passed" | "warned" | "let_through" | "diverted" | "halted" | "misconfigured";
export type Stage = "ingest" | "lake" | "rollup" | "serving";
export type BreakerState = "closed" | "open" | "probing";
export type OperationState = "planning" | "planned" | "queued" | "running" | "paused" | "done" | "cancelled" | "failed";
export type StageState = "waiting" | "running" | "done" | "failed" | "cancelled";

export interface HopMeasured {
  at: string;
  hop: Hop;
  events_per_s: number | null;
  reason: string | null;
}

export interface StreamState {
  name: string;
  title: string;
  hops: HopMeasured[];
  verdict: Verdict;
  verdict_reason: string;
  feed_ended: boolean;
}

export interface Problem {
  subject: string;
  reason: string;
  since: string | null;
  page: string;
}

export interface AlertsCounted {
  at: string;
  open: number;
  critical: number;
  acknowledged: number;
}

export interface OverviewFrame {
  at: string;
  streams: StreamState[];
  problems: Problem[];
  alerts: AlertsCounted | null;
  reason: string | null;
}

export interface OpenIncident {
  id: string;
  severity: IncidentSeverity;
  title: string;
  subject: string;
  reason: string;
  opened_at: string;
  acknowledged_at: string | null;
  acknowledged_by: string | null;
  held_by: string | null;
}

export interface IncidentsFrame {
  at: string;
  incidents: OpenIncident[] | null;
  open: number | null;
  reason: string | null;
}

export interface BurnJudged {
  at: string;
  level: string;
  hop: Hop | null;
  promised_s: number;
  rates: Record<string, number | null>;
  budget_left: number | null;
  verdict: BurnVerdict;
  reason: string | null;
}

export interface StreamLatency {
  name: string;
  burns: BurnJudged[];
}

export interface LatencyFrame {
  at: string;
  streams: StreamLatency[];
}

export interface LedgerPoint {
  at: string;
  produced: number | null;
}

export interface StreamLedger {
  name: string;
  history: LedgerPoint[];
}

export interface LedgerFrame {
  at: string;
  streams: StreamLedger[];
}

export interface GateDecided {
  at: string;
  outcome: Outcome;
  reason: string | null;
}

export interface BreakerChanged {
  state: BreakerState;
  reason: string | null;
}

export interface GateState {
  stage: Stage;
  table: string | null;
  last: GateDecided | null;
  is_stale: boolean;
  breaker: BreakerChanged | null;
}

export interface StreamQuality {
  name: string;
  validity: number;
  gates: GateState[];
}

export interface QualityFrame {
  at: string;
  streams: StreamQuality[];
}

export interface LagJudged {
  at: string;
  stream: string | null;
  hop: Hop | null;
  lag_s: number | null;
  lag_events: number | null;
  verdict: LagVerdict;
  reason: string | null;
}

export interface ConsumerState {
  lag: LagJudged;
  is_stale: boolean;
}

export interface LagFrame {
  at: string;
  consumers: ConsumerState[];
  reason: string | null;
}

export interface StageProgress {
  key: string;
  state: StageState;
  done: number | null;
  total: number | null;
  unit: string;
  note: string;
}

export interface Operation {
  id: string;
  kind: string;
  stream: string;
  state: OperationState;
  stages: StageProgress[];
  waits_for: string | null;
}

export interface OperationsFrame {
  at: string;
  operations: Operation[];
}

export interface Series {
  key: string[];
  measures: Record<string, (number | null)[]>;
}

export interface Marks {
  event_ms: number | null;
  raw_ms: number | null;
  served_ms: number | null;
}

export interface LiveFrame {
  stream: string;
  rollup: string;
  bucket_s: number;
  span_s: number;
  buckets: number[];
  series: Series[];
  totals: Record<string, number | null>;
  newest_event_at: string | null;
  marks: Marks;
  reason: string | null;
}
