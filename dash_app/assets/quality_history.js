/* The quality page's past: a strip a gate and a rule, what route turned away by minute, and the suites that were in use. */
(function () {
  "use strict";
  const ASK_AGAIN_MS = 15000, WITHIN_MS = 15000;
  const held = new Map(); /* stream -> { shown, asked, reason, askedAt, isAsking } */
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const page = () => window.tidegate.quality;
  const now = () => performance.now();
  const ask = (path) => window.tidegate.inquire.ask(path, { within: WITHIN_MS });

  async function load(name) {
    const state = held.get(name) || { shown: null, reason: null, askedAt: -Infinity, isAsking: false };
    held.set(name, state);
    const { minutes, ...until } = window.tidegate.range.within(), asked = String(new URLSearchParams({ hours: minutes / 60, ...until }));
    if (state.isAsking || (now() - state.askedAt < ASK_AGAIN_MS && state.asked === asked)) return;
    Object.assign(state, { isAsking: true, asked });
    const { said, reason } = await ask(`gates/${name}/history?${asked}`);
    Object.assign(state, { isAsking: false, askedAt: now(), reason, shown: said || state.shown });
    paint(name);
  }

  function tick() {
    const cards = document.querySelectorAll("[data-quality]");
    for (const card of cards) {
      if (!document.hidden) load(card.dataset.quality);
      paint(card.dataset.quality);
    }
    if (cards.length && !document.hidden) docs();
  }

  function paint(name) {
    const card = document.getElementById(`quality-${name}`), state = held.get(name);
    if (!card || !state || state.askedAt === -Infinity) return;
    const why = page().find("reason", name), { shown, reason } = state;
    why.textContent = reason ? `unknown: ${reason}` : "";
    why.classList.toggle("is-unknown", Boolean(reason));
    card.classList.toggle("is-old", Boolean(reason));
    if (!shown) return;
    redraw(page().find("strips", name), JSON.stringify([shown.gates, lastOf(name)]), () => strips(name, shown));
    redraw(page().find("suites", name), JSON.stringify(shown.suites), () => [suites(shown.suites)]);
    chart(name, shown);
  }

  function lastOf(name) {
    const frame = window.tidegate.latest.get("quality"), stream = frame && frame.data.streams.find((each) => each.name === name);
    return stream ? stream.gates.map(({ last }) => last && last.at).filter(Boolean).sort().at(-1) || null : null;
  }
  function strips(name, shown) {
    if (!shown.gates.length) {
      const line = make("p", "quiet", "No gate has judged in this time"), last = lastOf(name);
      line.append(...(last ? ["; the last verdict came ", page().moment("", last)] : []), ".");
      return [line];
    }
    const { clock } = window.tidegate.show, first = shown.gates[0].buckets[0].at;
    const ends = make("div", "strip-ends");
    ends.append(make("span", "", clock(first, 16)), make("span", "", "now"));
    const lines = shown.gates.map((gate) => {
      const line = make("div", "gate-strip"), strip = make("div", "strip");
      strip.append(...gate.buckets.map((bucket) => cell(bucket.at, bucket.outcome, bucketWords(bucket))));
      const counts = counted(gate.buckets);
      strip.setAttribute("role", "img");
      strip.setAttribute("aria-label", `${page().gateName(gate)}: ${counts}`);
      line.append(make("span", "gate-name", page().gateName(gate)), strip, make("span", "quiet", counts));
      return line;
    });
    return [ends, ...lines];
  }
  function bucketWords({ outcome, verdicts, broken, reason }) {
    if (outcome === null) return "unknown: nothing was judged";
    const rules = broken.length ? `; broken: ${broken.join(", ")}` : "";
    return `${page().words[outcome]}, the worst of ${verdicts} remembered verdict${verdicts === 1 ? "" : "s"}${rules}${reason ? `; ${reason}` : ""}`;
  }
  function cell(at, state, said) {
    const made = make("i");
    made.dataset.state = state || "gap";
    made.title = `${window.tidegate.show.clock(at, 16)} ${said}`;
    return made;
  }
  function counted(buckets) {
    const worst = ["misconfigured", "halted", "diverted", "let_through", "warned"].filter((each) => buckets.some(({ outcome }) => outcome === each));
    if (worst.length) return worst.map((each) => page().words[each]).join(", ");
    return buckets.every(({ outcome }) => outcome === null) ? "unknown" : "all passed";
  }

  /* A rule's strip: what is remembered of a verdict that passed is that every rule was kept, or broken without weight. */
  function ruleStrip(stream, gate, rule) {
    const gates = window.tidegate.qualityHistory.gatesOf(stream), found = gates && gates.find((each) => each.stage === gate.stage && each.table === gate.table);
    const strip = make("div", "strip rule-strip");
    if (!found) return strip;
    const worst = gate.stage === "ingest" ? "warned" : "halted"; /* rows that ingest turned away are what it is for */
    const stateOf = ({ outcome, broken, unevaluated }) => (outcome === null ? null : broken.includes(rule) ? worst : unevaluated.includes(rule) ? "misconfigured" : "passed");
    const said = { passed: "kept", warned: "broken by some rows", halted: "broken", misconfigured: "could not be evaluated" };
    strip.append(...found.buckets.map((bucket) => { const its = stateOf(bucket); return cell(bucket.at, its, its ? said[its] : "unknown: nothing was judged"); }));
    return strip;
  }

  function suites(seen) {
    if (!seen.length) return make("p", "quiet", "None is remembered.");
    const { clock } = window.tidegate.show, table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const title of ["stage", "suite", "rules", "first used", "last heard of"]) head.append(make("th", "", title));
    for (const each of seen) {
      const row = body.insertRow();
      row.append(make("td", "", each.stage), make("td"), make("td"), make("td", "", clock(each.since)), make("td", "", clock(each.until)));
      row.cells[1].append(make("code", "", each.suite));
      window.tidegate.show.put(row.cells[2], each.rules === null ? null : String(each.rules), "only its verdicts are remembered");
    }
    return table;
  }

  const drawn = new WeakMap();
  function chart(name, shown) {
    const box = page().find("chart", name), graph = box && box.querySelector(".js-plotly-plot");
    if (!graph || !window.Plotly) return;
    const known = shown.turned_away.filter(({ share }) => share !== null), newest = known.at(-1);
    const said = page().find("share", name), { age, seconds } = window.tidegate.show;
    said.textContent = newest ? `: ${page().percent(newest.share)}, ${seconds(age(newest.at))} ago` : ": unknown, nothing was counted in this time";
    said.classList.toggle("is-unknown", !newest);
    const shades = window.tidegate.show.shade(), picture = JSON.stringify(shown.turned_away);
    const before = drawn.get(graph);
    if (before && before.picture === picture && before.shades === shades) return;
    drawn.set(graph, { picture, shades });
    const times = shown.turned_away.map(({ at }) => at.slice(0, 19)), level = 1 - Number(box.dataset.validity);
    const start = new Date(Date.parse(shown.at) - shown.hours * 3600000).toISOString().slice(0, 19), end = shown.at.slice(0, 19);
    const line = (what, colour, values, more) => ({ type: "scatter", mode: values.length < 30 ? "lines+markers" : "lines", marker: { size: 4, color: colour }, name: what, x: times, y: values, connectgaps: false, line: { width: 1.6, color: colour }, hovertemplate: "%{y:.3%}", ...more });
    const part = (column) => shown.turned_away.map((each) => (each.routed ? each[column] / each.routed : null));
    const traces = [
      line("turned away", shades.lines[1], shown.turned_away.map(({ share }) => share)),
      line("of them undecodable", shades.lines[3], part("dead"), { line: { width: 1, color: shades.lines[3] } }),
      { ...line("service level", shades.other, [level, level]), x: [start, end], mode: "lines", hoverinfo: "skip", hovertemplate: undefined, line: { width: 1, dash: "dot", color: shades.other } },
    ];
    const tick_ = { tickfont: { color: shades.text } };
    const layout = {
      ...graph.layout, font: { family: "inherit", size: 11, color: shades.text },
      xaxis: { ...graph.layout.xaxis, ...tick_, visible: true, range: [start, end], color: shades.text, linecolor: shades.grid },
      yaxis: { ...graph.layout.yaxis, ...tick_, visible: true, gridcolor: shades.grid, tickformat: ".2~%", autorange: true },
      hoverlabel: { bgcolor: shades.paper, bordercolor: shades.grid, font: { color: shades.ink } },
    };
    window.Plotly.react(graph, traces, layout, { displayModeBar: false, responsive: true });
  }

  /* Data Docs: where they are, and how old; asked of the part that builds them. */
  const site = { said: null, reason: null, askedAt: -Infinity, isAsking: false };
  async function docs() {
    const box = page().find("docs", "all");
    if (!box) return;
    if (!site.isAsking && now() - site.askedAt > ASK_AGAIN_MS) {
      Object.assign(site, { isAsking: true, askedAt: now() });
      Object.assign(site, await ask("quality/docs/state"), { isAsking: false });
    }
    redraw(box, JSON.stringify([site.said, site.reason]), () => docsLine(site));
  }
  function docsLine({ said, reason }) {
    if (!said || !said.built_at) {
      const line = make("span", "is-unknown", `Data Docs: ${reason || (said && said.reason) || "not built yet"}`);
      return [line];
    }
    const link = make("a", "more", "Data Docs");
    link.href = window.tidegate.inquire.address("quality/docs/index.html");
    link.target = "_blank";
    link.rel = "noopener";
    const age = make("span", "quiet", " ");
    age.append(page().moment("built ", said.built_at), `, ${said.results} results`);
    if (said.reason) age.append(make("span", "is-unknown", ` (${said.reason})`));
    return [link, age];
  }

  window.tidegate.qualityHistory = { ruleStrip, gatesOf: (name) => { const state = held.get(name); return state && state.shown ? state.shown.gates : null; } };
  window.addEventListener("tidegate-range", tick);
  window.addEventListener("tidegate-again", () => { for (const state of held.values()) state.askedAt = -Infinity; site.askedAt = -Infinity; tick(); });
  setInterval(tick, 1000);
})();
