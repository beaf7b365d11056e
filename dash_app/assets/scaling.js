/* The Scaling page: how many executors there are and should be, why, how busy they are, and how it was. */
(function () {
  "use strict";
  const STALE_S = 20, SEEN_MS = 15 * 60000;
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const moment = (...how) => window.tidegate.moments.moment(...how);
  const find = (what, name) => document.querySelector(`[data-scaling-${what}="${name}"]`);
  const clock = (at) => window.tidegate.show.clock(at);
  const count = (value) => (value === null ? "unknown" : String(value));
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const isOld = (fact) => window.tidegate.show.age(fact.at) > STALE_S;

  function scaling(frame) {
    const there = new Set(frame.targets.map(({ name }) => name));
    for (const card of document.querySelectorAll("[data-scaling]")) {
      const name = card.dataset.scaling;
      if (!there.has(name)) redraw(find("now", name), "none", () => [make("span", "is-unknown", "unknown: the control plane says nothing of it")]);
    }
    for (const target of frame.targets) if (find("now", target.name)) paint(target);
    return document.querySelector("[data-scaling]") !== null;
  }

  function paint(target) {
    const { name, policy, ordered, executors, decided, reason, wanted } = target;
    remember(target);
    const why = find("reason", name), isLocal = executors !== null && executors.port === "local";
    why.hidden = !reason;
    why.classList.toggle("is-unknown", !isLocal);
    redraw(why, reason, () => (reason ? window.tidegate.make.prose(reason) : []));
    redraw(find("port", name), JSON.stringify(executors && [executors.port, executors.cores]), () => (executors ? [make("span", "chip", executors.port), make("span", "quiet", ` ${executors.cores} core${executors.cores === 1 ? "" : "s"} an executor`)] : []));
    mode(name, policy, ordered, isLocal);
    redraw(find("now", name), JSON.stringify([policy, ordered, executors && { ...executors, at: null, id: null }, decided, wanted.executors, wanted.reason, decided && isOld(decided)]), () => now(target));
    redraw(find("changes", name).tBodies[0], JSON.stringify(target.changes), () => changes(target.changes));
    history(name);
    window.tidegate.scaling.forms(target);
  }

  function mode(name, policy, ordered, isLocal) {
    const badge = find("mode", name), state = isLocal ? "local" : ordered ? "ordered" : !policy.is_on ? "off" : policy.is_dry_run ? "dry" : "on";
    badge.textContent = { local: "not scaled", ordered: "an operator\u2019s order holds", off: "autoscaler off", dry: "dry run", on: "autoscaler on" }[state];
    badge.classList.remove("is-unknown");
    badge.dataset.state = state;
  }

  function now(target) {
    const { policy, ordered, executors, decided, wanted } = target;
    const lines = [counts(target), bar(policy, executors, wanted)];
    if (ordered) {
      const told = make("p", "scaling-order", `${ordered.by} has ordered ${ordered.executors} `);
      told.append(moment("", ordered.at), ordered.until ? `, until ${clock(ordered.until)}` : ", until it is given back", ". The autoscaler leaves it alone meanwhile.");
      lines.push(told);
    }
    lines.push(decision(target));
    if (decided) lines.push(busy(policy, decided), inputs(decided.inputs));
    return lines;
  }
  function counts({ executors, wanted }) {
    const line = make("div", "totals");
    line.append(total("there", executors ? executors.have : null, "the part has not said so lately"), total("wanted", wanted.executors, wanted.reason || "leave it as it is"));
    if (executors && executors.failed) line.append(total("have failed", executors.failed, "ended by themselves since the part started"));
    if (executors && executors.waits_for) line.append(make("p", "scaling-waits", executors.waits_for));
    return line;
  }
  function total(name, value, title) {
    const made = make("div");
    const shown = made.appendChild(make("div", "big"));
    window.tidegate.show.put(shown, value === null ? (name === "wanted" ? "as it is" : null) : String(value), title);
    made.append(make("div", "quiet", name));
    return made;
  }
  /* One picture: what is there, what is wanted, and between which bounds it may be. */
  function bar({ least, most }, executors, wanted) {
    const have = executors ? executors.have : null, top = Math.max(most, have || 0, wanted.executors || 0) * 1.06;
    const box = make("div", "scale"), line = box.appendChild(make("div", "scale-line")), at = (value) => `${(100 * value / top).toFixed(2)}%`;
    const band = line.appendChild(make("i", "scale-band"));
    band.style.left = at(least);
    band.style.width = at(most - least);
    band.title = `the policy allows ${least} to ${most}`;
    if (have !== null) {
      const there = line.appendChild(make("i", "scale-have"));
      there.style.width = at(have);
      there.title = `${have} there`;
    }
    if (wanted.executors !== null) {
      const want = line.appendChild(make("i", "scale-want"));
      want.style.left = at(wanted.executors);
      want.title = `${wanted.executors} wanted`;
    }
    for (const [value, text] of [[least, `least ${least}`], [most, `most ${most}`]]) {
      const label = box.appendChild(make("span", "scale-label quiet", text));
      label.style.left = at(value);
    }
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `${count(have)} there, ${wanted.executors === null ? "as it is" : wanted.executors} wanted, ${least} to ${most} allowed`);
    return box;
  }
  function decision({ decided, policy, ordered }) {
    if (!decided) return make("p", "is-unknown", "Nothing has been decided yet.");
    const made = make("p", "scaling-decided"), isStale = isOld(decided);
    made.classList.toggle("is-unknown", isStale);
    if (isStale) made.append("Unknown: the last look was ", moment("", decided.at), ". Then: ");
    const dry = decided.is_dry_run && policy.is_on && !ordered ? "Dry run, nothing is done: " : "";
    made.append(dry, ...window.tidegate.make.prose(sentence(decided.reason)), make("span", "quiet", ` Rule ${decided.rule}, `), quietly(moment("looked at ", decided.at)));
    return made;
  }
  const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
  function quietly(element) {
    element.className = "quiet";
    return element;
  }
  function busy({ utilisation: [low, high] }, { inputs: given }) {
    const share = isMeasured(given) && given.utilisation !== undefined ? given.utilisation : null;
    const box = make("div", "scale scale-busy"), line = box.appendChild(make("div", "scale-line")), at = (value) => `${Math.min(100, 100 * value).toFixed(1)}%`;
    const band = line.appendChild(make("i", "scale-band"));
    band.style.left = at(low);
    band.style.width = at(high - low);
    band.title = `nothing changes between ${percent(low)} and ${percent(high)}`;
    if (share !== null) {
      const filled = line.appendChild(make("i", "scale-have"));
      filled.style.width = at(share);
      filled.dataset.state = share > high ? "over" : share < low ? "under" : "within";
    }
    const told = share === null ? "how busy they are is unknown" : `${percent(share)} busy: ${share > high ? "above" : share < low ? "below" : "within"} the band of ${percent(low)} to ${percent(high)}`;
    box.append(make("span", share === null ? "is-unknown" : "quiet", told));
    return box;
  }
  const inputWords = {
    arriving_events_per_s: ["arriving", "/s"], lag_events: ["lag", " events"], backlog_events: ["of it backlog", " events"], capacity_events_per_s: ["an executor does", "/s"],
    busy_executors: ["busy", " executors"], needed_executors: ["needed", " executors"], ceiling_executors: ["partitions for", " executors"],
  };
  /* Sums are of the streams of which enough is known; of none they would be 0, and 0 is what they are not. */
  const isMeasured = (given) => given.capacity_events_per_s !== null && given.capacity_events_per_s !== undefined;
  const SUMS = ["arriving_events_per_s", "lag_events", "backlog_events", "busy_executors"];
  function inputs(given) {
    const line = make("div", "spark-facts scaling-inputs");
    for (const [key, found] of Object.entries(given)) {
      if (key === "utilisation") continue;
      const value = SUMS.includes(key) && !isMeasured(given) ? null : found;
      const [name, unit] = inputWords[key] || [key.replaceAll("_", " "), ""], made = line.appendChild(make("span", "spark-fact"));
      made.append(make("span", "quiet", `${name} `), make("span", value === null ? "is-unknown" : "figure", value === null ? "unknown" : `${window.tidegate.show.number(value)}${unit}`));
    }
    return line;
  }

  function changes(list) {
    if (!list.length) {
      const row = make("tr"), cell = row.appendChild(make("td", "quiet", "None since the control plane started; ClickHouse has the ones before (see the chart)."));
      cell.colSpan = 6;
      return [row];
    }
    return list.slice(0, 20).map((each) => {
      const row = make("tr"), done = each.is_acted_on ? "done" : each.is_dry_run ? "dry run" : "not done";
      row.dataset.rule = each.rule;
      for (const text of [clock(each.at), `${count(each.have)} \u2192 ${count(each.want)}`, each.by, String(each.rule), done, each.reason]) row.append(make("td", "", text));
      row.cells[4].className = each.is_acted_on ? "" : "quiet";
      return row;
    });
  }

  /* What this page has seen itself, while ClickHouse does not answer and since its last point. */
  const seen = new Map();
  function remember({ name, executors, wanted }) {
    const points = seen.get(name) || [], at = window.tidegate.hubNow();
    points.push({ at, have: executors ? executors.have : null, want: wanted.executors });
    while (points[0].at < at - SEEN_MS) points.shift();
    seen.set(name, points);
  }
  function history(name) {
    const asked = window.tidegate.range.within(), told = find("history", name), past = (path) => window.tidegate.inquire.past(path, again);
    const { said, reason, askedAt } = past(`scaling/history?${new URLSearchParams({ target: name, ...asked })}`);
    const old = (Array.isArray(said) ? said : []).map(({ at, kind, have, want }) => ({ at: Date.parse(at), kind, have, want }));
    const last = old.length ? old.at(-1).at : -Infinity, points = [...old, ...(seen.get(name) || []).filter(({ at }) => at > last)];
    const words = reason ? `what was before this page was opened is unknown: ${reason}` : askedAt === -Infinity ? "asking ..." : "";
    if (told.textContent !== words) told.textContent = words;
    told.classList.toggle("is-unknown", Boolean(reason));
    const { timechart, range, stamp } = window.tidegate.timechart, within = range(), there = points.filter(({ kind }) => kind !== "decided");
    const wanted = points.filter(({ kind, want }) => kind !== "executors" && want !== null);
    timechart(document.querySelector(`[data-scaling-chart="${name} executors"]`), { ...within, isAligned: true, traces: [
      { name: "there", x: there.map(({ at }) => stamp(at)), y: there.map(({ have }) => have), colour: 0, step: true, fill: true },
      { name: "wanted", x: wanted.map(({ at }) => stamp(at)), y: wanted.map(({ want }) => want), colour: 1, step: true, dash: "dot" },
    ] });
    const lag = window.tidegate.latest.get("lag"), traces = [];
    const consumers = lag ? lag.data.consumers.map((each) => each.lag).filter(({ consumer, consumer_kind: kind }) => kind === "query" && consumer.startsWith(`${name} `)) : [];
    consumers.forEach(({ consumer, topic }, index) => {
      const its = past(`lag/history?${new URLSearchParams({ consumer, topic, ...asked })}`).said, list = Array.isArray(its) ? its : [];
      const x = list.map(({ at }) => stamp(Date.parse(at))), column = (key) => list.map((each) => each[key]);
      traces.push({ name: `${consumer}: behind`, x, y: column("lag_s"), colour: 3 * index, unit: " s", fill: true });
      traces.push({ name: `${consumer}: arrive (right)`, x, y: column("arriving_per_s"), colour: 3 * index + 1, unit: "/s", second: true, size: 1.1 });
      traces.push({ name: `${consumer}: taken (right)`, x, y: column("taken_per_s"), colour: 3 * index + 2, unit: "/s", second: true, size: 1.1 });
    });
    timechart(document.querySelector(`[data-scaling-chart="${name} load"]`), { ...within, unit: " s", second: "/s", traces });
  }
  /* What was asked for may come when its page has gone. */
  const isHere = () => document.querySelector("[data-scaling]") !== null;
  const again = () => { const held = window.tidegate.latest.get("scaling"); if (held && isHere()) scaling(held.data); };

  window.tidegate.scaling = { find, again, forms: () => {} };
  window.addEventListener("tidegate-range", again);
  window.tidegate.painters.push((update) => (update.topic === "scaling" && isHere() ? scaling(update.data) : false));
})();
