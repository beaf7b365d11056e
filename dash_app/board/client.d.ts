/* What client.js offers; see there. */
export interface State {
  connection: "connecting" | "live" | "resuming" | "offline" | "refused";
  since: number;
  reason: string | null;
}
export interface Meta {
  seq: number;
  sentAtMs: number;
  receivedAtMs: number;
  full: boolean;
}
export interface Watch {
  setTopics(topics: string[]): void;
  painted(topic: string, seq: number): void;
  hubNow(): number;
  close(): void;
}
export function watch(how: {
  url: string;
  token?: string;
  topics: string[];
  onUpdate(topic: string, data: unknown, meta: Meta): void;
  onState(state: State): void;
}): Watch;
