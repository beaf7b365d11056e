/* The stream's main rollup: what is in it now, by key. Drawn by uPlot whenever a whole bucket has changed. */

import { useEffect, useLayoutEffect, useReducer, useRef } from "react";
import uPlot from "uplot";
import type { Held } from "./board";
import { lines, picture, stacks } from "./lines";
import type { MainRollup, StreamConfig } from "./config";
import type { LiveFrame } from "./frames";
import { optionsOf } from "./plot";
import { count, moment, several, words } from "./words";

const LEGEND = 6;

export function Chart({ stream, held, now }: { stream: StreamConfig; held: Held<LiveFrame> | undefined; now: number }) {
  const { rollup } = stream;
  if (!rollup) return <div className="chart is-unknown">This stream has no rollup to draw.</div>;
  const frame = held?.data, total = frame && !frame.reason ? (frame.totals[rollup.measure] ?? null) : null;
  const why = !frame ? "the hub has told nothing yet" : frame.reason;
  return (
    <div className={why ? "chart is-unknown" : "chart"}>
      <div className="chart-head">
        <h3 title={rollup.title}>{rollup.title}</h3>
        <span className="quiet of">{words(rollup.measure)}{rollup.unit ? `, ${rollup.unit}` : ""}</span>
        <b>{total === null ? "unknown" : count(total)}</b>
        <span className="quiet">{frame ? `in ${span(frame.span_s)}${until(frame, now)}` : ""}</span>
      </div>
      {why ? <p className="why" title={why}>unknown: {why}</p> : null}
      {frame && frame.buckets.length > 1 ? <Plot frame={frame} rollup={rollup} /> : <div className="plot" />}
    </div>
  );
}

function span(seconds: number): string {
  const [size, unit] = ([[86_400, "day"], [3600, "hour"], [60, "minute"]] as const).find(([each]) => seconds >= each) ?? [1, "second"];
  return several(Math.round(seconds / size), unit);
}

/* A replay is of another time than now; that must not be mistaken. */
function until(frame: LiveFrame, now: number): string {
  const end = frame.newest_event_at;
  return end !== null && now - Date.parse(end) > 86_400_000 ? ` up to ${moment(Date.parse(end), now)} UTC` : "";
}

function Plot({ frame, rollup }: { frame: LiveFrame; rollup: MainRollup }) {
  const box = useRef<HTMLDivElement>(null), plot = useRef<uPlot | null>(null);
  const [built, build] = useReducer((times: number) => times + 1, 0);
  const shown = lines(frame, rollup), keys = shown.map((line) => line.name).join("\n"), drawn = picture(frame, rollup);
  useLayoutEffect(() => {
    const element = box.current!;
    plot.current = new uPlot(optionsOf(element, shown.length, rollup), stacks(frame, rollup), element);
    return () => { plot.current?.destroy(); plot.current = null; };
  }, [keys, built]);
  useLayoutEffect(() => plot.current?.setData(stacks(frame, rollup)), [drawn]);
  useEffect(() => {
    /* Letters grow with the screen, and colours are the scheme's: the plot is built anew with either. */
    const fit = new ResizeObserver(build), scheme = matchMedia("(prefers-color-scheme: dark)");
    fit.observe(box.current!);
    scheme.addEventListener("change", build);
    return () => { fit.disconnect(); scheme.removeEventListener("change", build); };
  }, []);
  return (
    <>
      <div className="plot" ref={box} />
      <ul className="legend">
        {shown.slice(0, LEGEND).map((line, index) => <li key={line.name} title={line.name}><i data-line={index + 1} /><span>{line.name}</span></li>)}
        {shown.length > LEGEND ? <li className="quiet">and {shown.length - LEGEND} more</li> : null}
      </ul>
    </>
  );
}
