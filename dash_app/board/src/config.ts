/* What the server says in the page itself: the streams that there are, what is promised of each, where the hub is. */

export type MeasureFunction = "count" | "sum" | "min" | "max" | "average" | "distinct" | "quantile";

export interface MainRollup {
  name: string;
  title: string;
  measure: string;
  function: MeasureFunction;
  unit: string;
}

export interface StreamConfig {
  name: string;
  title: string;
  rollup: MainRollup | null;
  freshness_s: number;
}

export interface BoardConfig {
  push_port: number | null;
  streams: StreamConfig[];
}

export function configOf(element: HTMLElement): BoardConfig {
  return JSON.parse(element.dataset.config ?? "") as BoardConfig;
}

/* `?streams=shop,flights` chooses and orders; a name that is no stream is said instead of left out in silence. */
export function chosen(config: BoardConfig, query: string): { streams: StreamConfig[]; missing: string[] } {
  const named = (new URLSearchParams(query).get("streams") ?? "").split(",").map((name) => name.trim()).filter(Boolean);
  if (!named.length) return { streams: config.streams, missing: [] };
  const known = new Map(config.streams.map((stream) => [stream.name, stream]));
  const streams = [...new Set(named)].flatMap((name) => known.get(name) ?? []);
  return { streams, missing: named.filter((name) => !known.has(name)) };
}

export const liveTopic = (stream: StreamConfig): string | null =>
  stream.rollup && `live/${stream.name}/${stream.rollup.name}`;

export function pushAddress(port: number | null, place: Location): string {
  const host = port === null ? place.host : `${place.hostname}:${port}`;
  return `${place.protocol === "https:" ? "wss" : "ws"}://${host}/api/v1/push`;
}
