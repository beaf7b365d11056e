/* What has the hub told, and what of it is on screen? Keeps the newest frame of each topic, lets them be drawn in one animation
   frame, and tells the hub when the picture was there: so the time from event to pixel counts this board too. */

import { type Meta, type State, watch, type Watch } from "../client.js";
import type { IncidentsFrame, LagFrame, LatencyFrame, LedgerFrame, LiveFrame, OperationsFrame, OverviewFrame, QualityFrame } from "./frames";
import { Latency, type Percentiles } from "./latency";
import { ms } from "./known";
import { Rates } from "./rates";

export type Connection = State["connection"];

export interface Held<T> {
  data: T;
  meta: Meta;
}

export interface Frames {
  overview?: Held<OverviewFrame>;
  ledger?: Held<LedgerFrame>;
  quality?: Held<QualityFrame>;
  lag?: Held<LagFrame>;
  operations?: Held<OperationsFrame>;
  incidents?: Held<IncidentsFrame>;
  latency?: Held<LatencyFrame>;
  live: ReadonlyMap<string, Held<LiveFrame>>;
}

export interface Picture {
  now: number;
  connection: Connection;
  reason: string | null;
  /* Since when there is no connection; null while there is one. */
  lostAt: number | null;
  /* Up to when the hub has told something. */
  toldAt: number | null;
  frames: Frames;
  latency: Percentiles | null;
}

const TICK_MS = 500;
/* The page rests at least as long as it drew: on a slow machine pictures come less often instead of later and later. */
const PICTURES_AT_MOST_EVERY_MS = 60;
const LATENCY_EVERY_MS = 2_000;

export class Board {
  readonly rates = new Map<string, Rates>();
  private readonly hub: Watch;
  private readonly latency = new Latency();
  private readonly listeners = new Set<() => void>();
  private readonly dirty = new Map<string, Held<unknown>>();
  private frames: Frames = { live: new Map() };
  private state: State = { connection: "connecting", since: 0, reason: null };
  private lostAt: number | null;
  private latencyAt = 0;
  private scheduled = false;
  private nextAt = 0;
  private shown: Picture;

  /* `onTurn`: the hub is heard again after a pause, or refuses. */
  constructor(url: string, topics: string[], private readonly onTurn: () => void) {
    this.hub = watch({ url, topics, onUpdate: this.take, onState: this.turn });
    this.lostAt = this.hub.hubNow();
    this.shown = this.look(null);
    setInterval(this.tick, TICK_MS);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly picture = (): Picture => this.shown;

  private readonly take = (topic: string, data: unknown, meta: Meta): void => {
    const held = { data, meta } as Held<never>;
    this.frames = topic.startsWith("live/")
      ? { ...this.frames, live: new Map(this.frames.live).set(topic, held) }
      : { ...this.frames, [topic]: held };
    if (topic === "overview") this.measure(data as OverviewFrame);
    this.dirty.set(topic, held);
    this.schedule();
  };

  private measure({ streams }: OverviewFrame): void {
    for (const { name, hops } of streams) {
      const raw = hops.find((hop) => hop.hop === "raw");
      if (!this.rates.has(name)) this.rates.set(name, new Rates());
      if (raw) this.rates.get(name)?.add(ms(raw.at), raw.events_per_s);
    }
  }

  private readonly turn = (state: State): void => {
    const before = this.state.connection, { connection } = state;
    this.state = state;
    if (connection === "live") this.lostAt = null;
    else if (before === "live") this.lostAt = this.hub.hubNow();
    if (connection !== before && (connection === "live" || connection === "refused")) this.onTurn();
    this.schedule();
  };

  private readonly tick = (): void => this.schedule();

  private look(latency: Percentiles | null): Picture {
    const { live, ...others } = this.frames;
    const told = [...Object.values(others), ...live.values()].map((held) => held.meta.sentAtMs);
    return {
      now: this.hub.hubNow(), connection: this.state.connection, reason: this.state.reason, lostAt: this.lostAt,
      toldAt: told.length ? Math.max(...told) : null, frames: this.frames, latency,
    };
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => requestAnimationFrame(this.paint), Math.max(0, this.nextAt - performance.now()));
  }

  private readonly paint = (): void => {
    const began = performance.now(), drawn = [...this.dirty];
    this.dirty.clear();
    const isDue = began - this.latencyAt > LATENCY_EVERY_MS;
    if (isDue) this.latencyAt = began;
    this.shown = this.look(isDue ? this.latency.percentiles(this.hub.hubNow()) : this.shown.latency);
    for (const listener of this.listeners) listener();
    /* The second frame begins after the first was presented: only then is the picture on screen. */
    requestAnimationFrame(() => requestAnimationFrame(() => {
      for (const [topic, held] of drawn) this.painted(topic, held);
      this.nextAt = Math.max(began + PICTURES_AT_MOST_EVERY_MS, 2 * performance.now() - began);
      this.scheduled = false;
      if (this.dirty.size) this.schedule();
    }));
  };

  private painted(topic: string, { data, meta }: Held<unknown>): void {
    this.hub.painted(topic, meta.seq);
    if (topic.startsWith("live/")) this.latency.painted(topic, (data as LiveFrame).marks, this.hub.hubNow());
  }
}
