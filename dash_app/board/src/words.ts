/* How are numbers and times written? As in the console: short, in UTC, and null stays null. */

const THIN = "\u2009";
const UNITS: readonly [from: number, by: number, unit: string][] = [[1e9, 1e9, "G"], [1e6, 1e6, "M"], [1e4, 1e3, "k"]];

export function count(value: number): string {
  for (const [from, by, unit] of UNITS) {
    if (Math.abs(value) >= from) return (value / by).toFixed(Math.abs(value) >= 100 * by ? 0 : 1) + THIN + unit;
  }
  return Number.isInteger(value) || Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}

export function seconds(value: number): string {
  if (value < 1) return `${Math.round(value * 1000)}${THIN}ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : Math.round(value)}${THIN}s`;
  if (value < 7200) return `${Math.round(value / 60)}${THIN}min`;
  return value < 172_800 ? `${Math.round(value / 3600)}${THIN}h` : `${Math.round(value / 86_400)}${THIN}d`;
}

export function milliseconds(first: number, second: number): string {
  return second < 10_000 ? `${Math.round(first)} · ${Math.round(second)}${THIN}ms` : `${seconds(first / 1000)} · ${seconds(second / 1000)}`;
}

/* Ages tick: tenths would only flicker. */
export const age = (value: number): string => seconds(value < 1 ? 0 : Math.floor(value)).replace(`0${THIN}ms`, `0${THIN}s`);

/* Times a pace. */
export const rate = (value: number | null): string => (value === null ? "?" : `${value.toFixed(value > 0 && value < 10 ? 1 : 0)}\u00d7`);

/* Three digits at most, and never 100 % of what is not all of it. */
export function share(value: number): string {
  const percent = value * 100;
  const written = percent.toFixed(percent >= 99 || percent === 0 ? 2 : 1);
  return `${value < 1 && Number(written) === 100 ? "99.99" : written.replace(/\.?0+$/, "")}${THIN}%`;
}

export const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);

/* The day is given when it is not today's. */
export function moment(ms: number, now: number): string {
  const written = new Date(ms).toISOString(), today = new Date(now).toISOString().slice(0, 10);
  return written.startsWith(today) ? written.slice(11, 19) : written.slice(0, 16).replace("T", " ");
}

export const words = (name: string): string => name.replaceAll("_", " ");

export const several = (number: number, one: string): string => `${number} ${one}${number === 1 ? "" : "s"}`;
