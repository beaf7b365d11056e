/* How numbers are written, and the live page: draws updates into the elements that the page laid out. Numbers are written as people read them; what is not known says
   "unknown" and why; what is old is dimmed. */
(function () {
  "use strict";
  const STALE_MS = 5000;
  const units = [[1e9, "G"], [1e6, "M"], [1e4, "k", 1e3]];

  function number(value, digits = 1) {
    if (value === null || value === undefined) return null;
    for (const [from, unit, by] of units) {
      if (Math.abs(value) >= from) return (value / (by || from)).toFixed(Math.abs(value) >= 100 * (by || from) ? 0 : digits) + "\u2009" + unit;
    }
    return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(Math.abs(value) < 100 ? digits : 0);
  }
  const exact = (value) => (value === null || value === undefined ? null : value.toLocaleString("en"));
  function seconds(value) {
    if (value === null || value === undefined) return null;
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    if (value < 120) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
    if (value < 7200) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
  }
  const bytes = (value) => (value === null || value === undefined ? null : `${Math.round(value / 1048576)} MiB`);

  function put(element, text, reason) {
    const unknown = text === null || text === undefined;
    element.classList.toggle("is-unknown", unknown);
    element.textContent = unknown ? "unknown" : text;
    element.title = unknown ? reason || "not measured" : reason || "";
  }
  /* Clock times are UTC, as in the charts and the logs; the day is given when it is not today's. */
  function clock(at, length = 19) {
    const written = new Date(at).toISOString(), today = new Date(window.tidegate.hubNow()).toISOString().slice(0, 10);
    return (written.startsWith(today) ? written.slice(11, length) : written.slice(0, length).replace("T", " ")) + "\u00a0UTC";
  }
  const all = (selector) => document.querySelectorAll(selector);
  const age = (iso) => (iso ? Math.max(0, (window.tidegate.hubNow() - Date.parse(iso)) / 1000) : null);

  window.tidegate.show = { number, exact, seconds, bytes, put, clock, all, age, shade: () => shade() };

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return {
      lines: Array.from({ length: 12 }, (_, index) => style.getPropertyValue(`--line-${index + 1}`).trim()),
      other: style.getPropertyValue("--quiet").trim(),
      text: style.getPropertyValue("--quiet").trim(),
      grid: style.getPropertyValue("--rule").trim(),
      paper: style.getPropertyValue("--card").trim(),
      ink: style.getPropertyValue("--ink").trim(),
    };
  }
  const colourOf = new Map();
  let shades = null;
  const shade = () => shades || (shades = colours());
  const forgetShades = () => { shades = null; for (const box of all("[data-chart]")) behind.add(box); };
  new MutationObserver(forgetShades).observe(document.documentElement, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forgetShades);

  async function live(topic, frame) {
    for (const card of all(`[data-rollup="${topic}"]`)) card.classList.remove("is-stale");
    const totals = Array.from(all(`[data-total="${topic}"]`));
    for (const element of totals) put(element, number(frame.totals[element.dataset.measure]), frame.reason);
    for (const element of all(`[data-newest="${frame.stream}"]`)) {
      const behind = age(frame.newest_event_at);
      put(element, behind === null ? null : behind < 86400 * 30 ? `${seconds(behind)} ago` : frame.newest_event_at.slice(0, 16).replace("T", " "), frame.reason);
    }
    for (const element of all(`[data-rollup-reason="${topic}"]`)) {
      element.hidden = !frame.reason;
      if (element.textContent !== (frame.reason || "")) element.textContent = frame.reason || "";
    }
    const boxes = Array.from(all(`[data-chart="${topic}"]`));
    for (const box of boxes) {
      box.classList.toggle("is-unknown", Boolean(frame.reason));
      box.title = frame.reason || "";
      if (frame.buckets.length) behind.add(box);
    }
    const drawn = boxes.filter((box) => behind.has(box) && isVisible(box) && isDue(box)).map(drawBox);
    return (await Promise.all(drawn)).some(Boolean) || (!frame.reason && totals.some(isVisible));
  }

  /* Drawing is the dearest step on an event's way. The numbers follow every update. A chart shows whole buckets only: it is
     drawn when one of them has changed, the first of each rollup four times a second, the others once. A chart that is
     scrolled away is drawn when it comes into view. */
  const FIRST_CHART_EVERY_MS = 250, SIDE_CHARTS_EVERY_MS = 1000;
  const behind = new Set(), drawnAt = new WeakMap(), visible = new WeakMap();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      visible.set(entry.target, entry.isIntersecting);
      if (entry.isIntersecting && behind.has(entry.target)) drawBox(entry.target);
    }
  });
  function isVisible(box) {
    if (!visible.has(box)) {
      const place = box.getBoundingClientRect();
      visible.set(box, place.bottom > 0 && place.top < window.innerHeight);
      watcher.observe(box);
    }
    return visible.get(box);
  }
  const pauseOf = (box) => (box.matches(".wide") ? FIRST_CHART_EVERY_MS : SIDE_CHARTS_EVERY_MS);
  const isDue = (box) => performance.now() - (drawnAt.get(box) || -Infinity) >= pauseOf(box);

  async function drawBox(box) {
    const graph = box.querySelector(".js-plotly-plot"), held = window.tidegate.latest.get(box.dataset.chart);
    if (!graph || !window.Plotly || !held || !held.data.buckets.length) return false;
    behind.delete(box);
    drawnAt.set(box, performance.now());
    const picture = pictureOf(held.data, box.dataset.measure);
    const before = pictures.get(graph);
    if (before && before.picture === picture && before.shades === shade()) return false;
    pictures.set(graph, { picture, shades: shade() });
    await draw(graph, held.data, box.dataset.measure, box.dataset.kind, box.dataset.unit);
    return true;
  }
  /* Everything that a chart's lines depend on but the theme, as one string. */
  const pictures = new WeakMap();
  const wholeOf = (frame) => Math.max(1, frame.buckets.length - 1);
  const pictureOf = (frame, measure) => JSON.stringify([
    frame.buckets[0], wholeOf(frame), frame.series.map((series) => [series.key, series.measures[measure].slice(0, wholeOf(frame))]),
  ]);
  setInterval(() => {
    for (const box of behind) {
      if (!box.isConnected) behind.delete(box);
      else if (isVisible(box) && isDue(box)) drawBox(box);
    }
  }, FIRST_CHART_EVERY_MS);

  /* Plotly would measure and lay out its own legend again for every picture. */
  function nameLines(box, traces) {
    const names = traces.map((trace) => trace.name + trace.line.color).join();
    if (box.dataset.lines === names) return;
    box.dataset.lines = names;
    let legend = box.querySelector(".legend");
    if (!legend) {
      legend = box.appendChild(document.createElement("div"));
      legend.className = "legend";
    }
    legend.replaceChildren(...traces.map((trace) => {
      const item = document.createElement("span"), colour = item.appendChild(document.createElement("i"));
      colour.style.background = trace.line.color;
      item.append(trace.name);
      return item;
    }));
  }

  function draw(graph, frame, measure, kind, unit) {
    const palette = shade(), adds = kind === "count" || kind === "sum";
    const times = frame.buckets.map((start) => new Date(start * 1000).toISOString().slice(0, 23));
    /* The newest bucket is still filling: drawn, it would always look like a fall. */
    const whole = wholeOf(frame);
    const traces = frame.series.filter((series) => series.measures[measure].some((value) => value !== null)).map((series, index) => {
      const name = series.key.join(" · ") || measure;
      if (!colourOf.has(`${frame.stream}/${frame.rollup}/${name}`)) colourOf.set(`${frame.stream}/${frame.rollup}/${name}`, index % 12);
      const colour = name.startsWith("(other)") ? palette.other : palette.lines[colourOf.get(`${frame.stream}/${frame.rollup}/${name}`)];
      const values = series.measures[measure].slice(0, whole);
      return {
        type: "scatter", mode: "lines", name, x: times.slice(0, whole),
        y: adds ? values.map((value) => value || 0) : values, connectgaps: false,
        line: { width: adds ? 1 : 1.6, color: colour }, stackgroup: adds ? "all" : undefined,
        fillcolor: adds ? colour + "59" : undefined,
        hovertemplate: `%{y:,.4~s} ${unit || ""}`,
      };
    });
    const layout = {
      ...graph.layout,
      font: { family: "inherit", size: 11, color: palette.text },
      xaxis: { ...graph.layout.xaxis, visible: true, range: [times[0], times[whole - 1]], color: palette.text, linecolor: palette.grid, tickfont: { color: palette.text } },
      yaxis: { ...graph.layout.yaxis, visible: true, gridcolor: palette.grid, tickfont: { color: palette.text }, autorange: true },
      hoverlabel: { bgcolor: palette.paper, bordercolor: palette.grid, font: { color: palette.ink } },
    };
    if (graph.closest(".wide")) nameLines(graph.closest(".chart-box"), traces);
    return window.Plotly.react(graph, traces, layout, { displayModeBar: false, responsive: true });
  }

  window.tidegate.painters.push((update) => (update.topic.startsWith("live/") ? live(update.topic, update.data) : false));

  /* Age by itself changes a page: what has had no update for a while is dimmed. */
  setInterval(() => {
    const offline = document.body.dataset.connection !== "live";
    const seen = window.tidegate.latest.get("overview");
    document.body.classList.toggle("is-stale", offline || (seen !== undefined && age(seen.data.at) * 1000 > STALE_MS));
  }, 500);
})();
