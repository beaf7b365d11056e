/* How does uPlot draw here? In the page's colours and letters, times in UTC, no legend and no cursor: nobody points at a wall. */

import uPlot from "uplot";
import { adds } from "./lines";
import type { MainRollup } from "./config";
import { count } from "./words";

const COLOURS = 12;
const AXIS_EM = 3.2;

/* A variable may name one colour for light and one for dark: the browser says which it is. */
function colour(element: HTMLElement, name: string, alpha = 1): string {
  const probe = element.appendChild(document.createElement("i"));
  probe.style.color = alpha === 1 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export function optionsOf(element: HTMLElement, lines: number, rollup: MainRollup): uPlot.Options {
  const em = parseFloat(getComputedStyle(element).fontSize), font = `${em}px ${getComputedStyle(element).fontFamily}`;
  const isStacked = adds(rollup);
  const line = (index: number): uPlot.Series => {
    const name = `--line-${(index % COLOURS) + 1}`, common = { stroke: colour(element, name), points: { show: false } };
    return isStacked ? { ...common, width: 1, fill: colour(element, name, 0.55) } : { ...common, width: 2 };
  };
  const axis = { stroke: colour(element, "--quiet"), font, ticks: { show: false }, grid: { stroke: colour(element, "--rule"), width: 1 } };
  return {
    width: element.clientWidth, height: element.clientHeight, legend: { show: false }, cursor: { show: false }, padding: [em / 2, em * 2.5, 0, 0],
    scales: { x: { time: true }, y: { range: (_, min, max) => [Math.min(0, min ?? 0), (max ?? 0) > 0 ? max * 1.05 : 1] } },
    series: [{}, ...Array.from({ length: lines }, (_, index) => line(index))],
    bands: isStacked ? Array.from({ length: Math.max(0, lines - 1) }, (_, index) => ({ series: [index + 1, index + 2] as [number, number] })) : [],
    axes: [
      { ...axis, grid: { show: false }, size: em * 2, space: em * 7, values: (_, splits) => times(splits) },
      { ...axis, size: em * AXIS_EM, space: em * 2, values: (_, splits) => splits.map(count) },
    ],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
  };
}

function times(splits: number[]): string[] {
  const step = (splits[1] ?? 0) - (splits[0] ?? 0);
  const [from, to] = step >= 86_400 ? [5, 10] : step >= 60 ? [11, 16] : [11, 19];
  return splits.map((at) => new Date(at * 1000).toISOString().slice(from, to));
}
