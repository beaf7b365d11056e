/* The Spark page: each part's application, and each query's last batch: how fast, how long, and where the time went. */
(function () {
  "use strict";
  const STALE_S = 60, PHASES = [["offsets_s", "offsets"], ["planning_s", "planning"], ["work_s", "work"], ["log_s", "log"]];
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const lasting = (value) => window.tidegate.moments.lasting(value);
  const find = (what, name) => document.querySelector(`[data-spark-${what}="${name}"]`);
  const number = (value) => window.tidegate.show.number(value);
  const rate = (value) => (value === null ? "?" : number(Math.round(value * 10) / 10));

  function spark(frame) {
    for (const part of frame.parts) {
      if (!find("facts", part.part)) continue;
      application(part);
      for (const query of part.queries) paintQuery(part, query);
      for (const unsaid of document.querySelectorAll(`[data-of-part="${part.part}"] [data-spark-query]`)) {
        const name = unsaid.dataset.sparkQuery;
        if (!part.queries.some((each) => each.query === name)) unfinished(unsaid, name, part.latencies.find((each) => each.query === name));
        chart(part, name);
      }
      window.tidegate.spark.tables(part);
    }
    show();
    return true;
  }

  /* A link may lead to one query or one stage of all that are here: it is marked, and once brought into view. */
  let brought = null;
  function show() {
    const query = new URLSearchParams(location.search), name = query.get("query"), stage = query.get("stage");
    for (const each of document.querySelectorAll("[data-of-part]")) each.classList.toggle("is-here", each.querySelector("[data-spark-query]").dataset.sparkQuery === name);
    const here = stage ? document.querySelector(`.spark-stages tr.is-here`) : name ? document.querySelector(".spark-query.is-here") : null;
    if (!here || brought === location.href) return;
    brought = location.href;
    here.scrollIntoView({ block: "center" });
  }

  /* A real-time batch lasts minutes: until the first one has ended there is only the latency. */
  function unfinished(box, name, latency) {
    const said = "unknown: it has not finished a batch since the control plane started";
    redraw(box, JSON.stringify(["none", latency]), () => [make("div", "is-unknown", said), ...(latency ? [latencyOf(latency, name)] : [])]);
  }

  function application({ part, started, observed, reason }) {
    const why = find("reason", part);
    why.hidden = !reason;
    why.textContent = reason ? `Unknown: ${reason}` : "";
    document.getElementById(`spark-${part}`).classList.toggle("is-old", !started);
    redraw(find("side", part), JSON.stringify(started && started.ui), () => (started ? [uiLink(started)] : []));
    const there = observed ? observed.executors.filter((each) => each.is_active && each.executor !== "driver").length : null;
    redraw(find("facts", part), JSON.stringify([started && [started.app_id, started.master, started.slots, started.began_at], there]), () => (started ? [
      fact("master", started.master), fact("slots", String(started.slots), "Tasks that can run at once now"), fact("executors", there === null ? null : there === 0 ? "in the driver" : String(there), "Without the driver"),
      fact("application", started.app_id), fact("up", window.tidegate.moments.moment("", started.began_at, "for")),
    ] : []));
  }
  function uiLink({ ui, part }) {
    if (!ui || !/^https?:\/\//.test(ui)) return make("span", "is-unknown", "no UI of Spark's own");
    const link = make("a", "more", "Spark\u2019s own UI");
    Object.assign(link, { href: `${ui}/StreamingQuery/`, target: "_blank", rel: "noopener", title: `Of ${part}, on the machine that it runs on` });
    return link;
  }
  function fact(name, value, title) {
    const made = make("span", "spark-fact");
    made.title = title || "";
    made.append(make("span", "quiet", `${name} `));
    made.append(value === null ? make("span", "is-unknown", "unknown") : typeof value === "string" ? make("span", "figure", value) : value);
    return made;
  }

  /* The newest that was said of a query may be of no batch; numbers are of the newest batch. */
  function paintQuery(part, said) {
    const box = find("query", said.query), batches = part.batches[said.query] || [], last = batches.at(-1) || said;
    if (!box) return;
    const isRealTime = said.mode === "realtime", mode = isRealTime ? "real-time" : "micro-batch";
    const latency = part.latencies.find((each) => each.query === said.query);
    redraw(find("mode", said.query), mode, () => [make("span", "chip", mode)]);
    redraw(find("batch", said.query), JSON.stringify([last.batch_id, last.at]), () => [last.batch_id === null ? "no batch yet, " : `batch ${last.batch_id}, `, window.tidegate.moments.moment("", last.at)]);
    const isOld = !isRealTime && window.tidegate.show.age(last.at) > Math.max(STALE_S, 3 * (last.trigger_s || 0));
    redraw(box, JSON.stringify([last, said.reason, latency, isOld]), () => [
      flow(last, isOld), bar(last), legend(last), ...(isRealTime ? [latencyOf(latency, said.query)] : []), ...(said.reason ? [make("p", "is-unknown", said.reason)] : []),
    ]);
  }
  function flow(last, isOld) {
    const line = make("div", "spark-facts");
    line.append(fact("rows", last.rows === null ? null : last.rows.toLocaleString("en"), "Of the newest batch"));
    line.append(fact("in", last.input_rows_per_s === null ? null : `${rate(last.input_rows_per_s)}/s`, "Rows a second since the batch before"));
    line.append(fact("out", last.rows_per_s === null ? null : `${rate(last.rows_per_s)}/s`, "Rows a second of the batch\u2019s own time"));
    if (last.behind_events !== null) line.append(fact("left", number(last.behind_events), "Offsets that were there when the batch began and that it did not take"));
    if (last.watermark) line.append(fact("watermark", window.tidegate.moments.moment("", last.watermark)));
    if (last.state_rows !== null) line.append(fact("state", `${number(last.state_rows)} rows${last.state_bytes === null ? "" : `, ${window.tidegate.spark.size(last.state_bytes)}`}`));
    if (isOld) line.append(make("span", "quiet", "no newer batch: nothing has come, or it stands still"));
    return line;
  }
  /* Took against the trigger, as wide as the longer of the two; where it went, in it. */
  function bar(last) {
    const box = make("div", "took"), { took_s: took, trigger_s: trigger, phases, mode } = last;
    if (took === null) return make("div", "is-unknown", "how long it took is unknown");
    const whole = Math.max(took, trigger || 0), share = (value) => `${(100 * value / whole).toFixed(2)}%`;
    const line = box.appendChild(make("div", "took-line"));
    if (mode === "realtime") box.title = "A batch is as long as it is to be: records are worked on all the while";
    const known = phases ? PHASES.filter(([key]) => phases[key] !== null) : [];
    for (const [key, name] of known) {
      const piece = line.appendChild(make("i"));
      Object.assign(piece.dataset, { phase: name });
      piece.style.width = share(phases[key]);
      piece.title = `${name}: ${lasting(phases[key])}`;
    }
    const rest = took - known.reduce((sum, [key]) => sum + phases[key], 0);
    if (rest > 0.001) {
      const piece = line.appendChild(make("i"));
      piece.dataset.phase = known.length ? "other" : "unknown";
      piece.style.width = share(rest);
      piece.title = known.length ? `other: ${lasting(rest)}` : "Spark did not tell where it went";
    }
    const isLate = mode === "microbatch" && trigger !== null && took > trigger;
    if (isLate) line.appendChild(make("b")).style.left = share(trigger);
    box.append(make("span", isLate ? "is-bad" : "quiet", trigger === null ? `took ${lasting(took)}` : `took ${lasting(took)} of ${lasting(trigger)}`));
    if (mode !== "realtime") box.title = trigger === null ? "" : isLate ? "longer than there is between two batches" : "of the time between two batches";
    return box;
  }
  function legend({ phases }) {
    const line = make("div", "took-legend");
    for (const [key, name] of phases ? PHASES : []) {
      if (phases[key] === null) continue;
      const item = line.appendChild(make("span", "", `${name} ${lasting(phases[key])}`)), mark = make("i");
      mark.dataset.phase = name;
      item.prepend(mark);
    }
    return line;
  }
  function latencyOf(latency, query) {
    const line = make("div", "spark-latency"), how = "From the moment the raw topic took a record to the one at which the valid topic took what was made of it, by the broker\u2019s clock; it holds the wait for the producer\u2019s commit.";
    line.title = how;
    if (!latency || latency.latency_ms === null) {
      line.append(make("span", "quiet", "latency "), make("span", "is-unknown", `unknown: ${latency ? latency.reason || "not measured" : `nobody has measured ${query} lately`}`));
      return line;
    }
    const [p50, p99, longest] = latency.latency_ms.map((value) => `${Math.round(value)} ms`);
    line.append(make("span", "quiet", "latency "), make("strong", "", `p50 ${p50} \u00b7 p99 ${p99} \u00b7 longest ${longest}`), make("span", "quiet", `, raw topic to valid topic, the newest ${latency.samples} records`));
    return line;
  }

  /* ClickHouse\u2019s batches, and those that are newer than its last. */
  function chart(part, name) {
    const box = find("chart", name), told = find("history", name);
    if (!box) return;
    const { said, reason, askedAt } = window.tidegate.inquire.past(`spark/batches?${new URLSearchParams({ query: name, ...window.tidegate.range.within() })}`, again);
    const old = Array.isArray(said) ? said : [], last = old.length ? Date.parse(old.at(-1).at) : -Infinity;
    const points = [...old, ...(part.batches[name] || []).filter(({ at }) => Date.parse(at) > last)];
    const words = reason ? `(older ones are unknown: ${reason})` : askedAt === -Infinity ? "(asking ...)" : points.length ? "" : "(none in this time)";
    if (told.textContent !== words) told.textContent = words;
    told.classList.toggle("is-unknown", Boolean(reason));
    const { timechart, range, stamp } = window.tidegate.timechart, x = points.map(({ at }) => stamp(Date.parse(at)));
    timechart(box, { ...range(), unit: " s", second: "", traces: [
      { name: "took", x, y: points.map(({ took_s: took }) => took), colour: 0, unit: " s" },
      { name: "rows (right)", x, y: points.map(({ rows }) => rows), colour: 1, second: true, bars: true },
    ] });
  }
  /* What was asked for may come when its page has gone. */
  const isHere = () => document.querySelector("[data-spark]") !== null;
  const again = () => { const held = window.tidegate.latest.get("spark"); if (held && isHere()) spark(held.data); };

  window.tidegate.spark = { rate, again, tables: () => {} };
  window.addEventListener("tidegate-range", again);
  window.tidegate.painters.push((update) => (update.topic === "spark" && isHere() ? spark(update.data) : false));
})();
