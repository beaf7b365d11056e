/* Lines over a time range in the theme's colours, and the small line in a table's row. Drawn anew only when it says something new. */
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const drawn = new WeakMap();

  /* `traces`: { name, x, y, colour, unit, second, dash, step, bars, fill, size }; a null in `y` is a gap. */
  function timechart(box, { traces, start, end, unit = "", second = null, top = null, isAligned = false }) {
    const graph = box && box.querySelector(".js-plotly-plot");
    if (!graph || !window.Plotly || !graph.offsetParent) return false;
    const shades = window.tidegate.show.shade(), picture = JSON.stringify([traces, start, end, unit, second, top, graph.clientWidth]);
    const before = drawn.get(graph);
    if (before && before.picture === picture && before.shades === shades) return false;
    drawn.set(graph, { picture, shades });
    const tick = { tickfont: { color: shades.text }, fixedrange: true, zeroline: false, nticks: 5 };
    const axis = (suffix, more) => ({ ...tick, visible: true, rangemode: "tozero", autorange: true, gridcolor: shades.grid, ticksuffix: suffix, ...more });
    const layout = {
      ...graph.layout, autosize: true, barmode: "stack", bargap: 0.15,
      margin: { l: 52, r: second === null && !isAligned ? 8 : 52, t: 6, b: 26 },
      font: { family: "inherit", size: 11, color: shades.text },
      xaxis: { ...graph.layout.xaxis, ...tick, visible: true, autorange: false, range: [start, end], color: shades.text, linecolor: shades.grid, nticks: Math.max(3, Math.floor(graph.clientWidth / 90)), tickangle: 0 },
      yaxis: axis(unit, top === null ? {} : { autorange: false, range: [0, top] }),
      hoverlabel: { bgcolor: shades.paper, bordercolor: shades.grid, font: { color: shades.ink } },
    };
    if (second !== null) layout.yaxis2 = axis(second, { overlaying: "y", side: "right", showgrid: false, tickmode: "auto" });
    else delete layout.yaxis2;
    window.Plotly.react(graph, traces.map((each) => traceOf(each, shades)), layout, { displayModeBar: false, responsive: true });
    legend(box, traces, shades);
    return true;
  }
  const colour = (shades, name) => (typeof name === "number" ? shades.lines[name] : shades[name] || name);
  function traceOf({ name, x, y, colour: named, unit, second, dash, step, bars, fill, size }, shades) {
    const its = colour(shades, named), common = { name, x, y, yaxis: second ? "y2" : "y", hovertemplate: `%{y:,.4~s}${unit || ""}` };
    if (bars) return { ...common, type: "bar", opacity: 0.45, marker: { color: its } };
    const isShort = y.filter((value) => value !== null).length < 40;
    return {
      ...common, type: "scatter", mode: isShort && !dash ? "lines+markers" : "lines", marker: { size: 4, color: its }, connectgaps: false,
      line: { width: size || 1.6, color: its, dash, shape: step ? "hv" : "linear" }, fill: fill ? "tozeroy" : undefined, fillcolor: fill ? `${its}26` : undefined,
    };
  }
  /* Plotly would measure and lay out its own for every picture. */
  function legend(box, traces, shades) {
    let list = box.querySelector(".legend");
    if (!list) {
      list = box.appendChild(document.createElement("div"));
      list.className = "legend";
    }
    const key = JSON.stringify(traces.map((each) => [each.name, colour(shades, each.colour)]));
    window.tidegate.make.redraw(list, key, () => traces.map((each) => {
      const item = document.createElement("span"), line = item.appendChild(document.createElement("i"));
      line.style.background = colour(shades, each.colour);
      item.append(each.name);
      return item;
    }));
  }

  /* The ends of the chosen range, as Plotly takes them. */
  function range() {
    const { start, end } = window.tidegate.range.ends();
    return { start: stamp(start), end: stamp(end) };
  }
  const stamp = (at) => new Date(at).toISOString().slice(0, 19);

  /* `points`: [milliseconds, value or null]; a null is a gap, and nothing at all is said in words. */
  function sparkline(points, from, until, said) {
    const wide = 120, high = 26, box = document.createElementNS(SVG, "svg");
    box.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    box.setAttribute("class", "sparkline");
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", said);
    const known = points.filter(([, value]) => value !== null), most = Math.max(1, ...known.map(([, value]) => value));
    const place = ([at, value]) => `${((at - from) / (until - from) * wide).toFixed(1)},${(high - 2 - value / most * (high - 4)).toFixed(1)}`;
    const columns = new Map(); /* of what falls into one column the highest */
    for (const point of points) {
      const column = Math.floor((point[0] - from) / (until - from) * wide), held = columns.get(column);
      if (!held || held[1] === null || point[1] > held[1]) columns.set(column, point);
    }
    let path = "", isOpen = false;
    for (const point of columns.values()) {
      if (point[1] !== null && point[0] >= from) path += `${isOpen ? "L" : "M"}${place(point)}`;
      isOpen = point[1] !== null && point[0] >= from;
    }
    const line = box.appendChild(document.createElementNS(SVG, "path"));
    line.setAttribute("d", path);
    const title = box.appendChild(document.createElementNS(SVG, "title"));
    title.textContent = said;
    return box;
  }

  window.tidegate.timechart = { timechart, range, stamp, sparkline };
})();
