/* What a trial found: first in one look, then by rule, column, window, entity, gate and cost, with examples; and what to do about it. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const SVG = "http://www.w3.org/2000/svg", WIDTH = 720, HEIGHT = 120, PAD = 6, ENOUGH = 100000;
  const exact = (value) => (value === null || value === undefined ? "\u2013" : value.toLocaleString("en"));
  const key = (of) => Object.entries(of).map(([name, value]) => `${name} ${value === null ? "null" : value}`).join(", ");
  const when = (at) => (at ? at.slice(0, 16).replace("T", " ") : "");
  const value = (each) => (each === null ? "null" : each);

  function result(found, operation) {
    if (!found.rows || !found.cost) return [window.tidegate.values.tree(found)];
    return [
      verdict(found), figures(found), does(found, operation), ...rules(found), ...columns(found), ...rollups(found), ...entities(found), ...gates(found),
      ...schemas(found), cost(found), kept(found),
    ];
  }

  function verdict({ differs }) {
    const made = make("div", "judgement trial-verdict"), list = make("ul");
    made.dataset.state = differs.length ? "open" : "good";
    made.append(make("strong", "", differs.length ? `${differs.length === 1 ? "One thing differs" : `${differs.length} things differ`}` : "Nothing differs"));
    for (const sentence of differs) list.appendChild(make("li")).append(...window.tidegate.make.prose(sentence));
    if (differs.length) made.append(list);
    return made;
  }
  function figures({ rows, columns: all, rollups: of, cost: { today, changed } }) {
    const box = make("div", "totals"), apart = all.filter((each) => each.differ).length;
    const windows = of.reduce((sum, each) => sum + each.only_today + each.only_changed + Math.max(0, ...each.measures.map(({ differ }) => differ)), 0);
    /* Of few events most is what the first ones cost: a share would say nothing. */
    const share = today.cpu_s && today.events >= ENOUGH ? (100 * (changed.cpu_s - today.cpu_s)) / today.cpu_s : null;
    const add = (big, text, title) => { const figure = box.appendChild(make("div")); figure.append(make("span", "big", big), make("span", "quiet", ` ${text}`)); if (title) figure.title = title; };
    add(exact(rows.only_today), "rows no more", "Today lets them through, the changed folder does not");
    add(exact(rows.only_changed), "rows more", "The changed folder lets them through, today does not");
    add(`${apart} of ${all.length}`, "columns differ");
    add(exact(windows), "windows differ");
    add(share === null ? "\u2013" : `${share > 0 ? "+" : ""}${share.toFixed(0)} %`, "CPU", share === null ? `Fewer than ${exact(ENOUGH)} events tell nothing of what one costs` : "Of read, join, judge, encode and write, in turns");
    return box;
  }

  function table(head, rows) {
    const made = make("table"), top = made.createTHead().insertRow(), body = made.createTBody();
    for (const [text, isNumber] of head) top.append(make("th", isNumber ? "number" : "", text));
    for (const cells of rows) {
      const line = body.insertRow();
      cells.forEach((cell, at) => {
        const made_ = line.appendChild(make("td", head[at] && head[at][1] ? "number" : ""));
        made_.append(...(Array.isArray(cell) ? cell : [cell]));
      });
    }
    const box = make("div", "scrolls");
    box.append(made);
    return box;
  }
  const part = (title, ...inside) => [make("h3", "", title), ...inside];
  function examples(list, head, cells) {
    if (!list.length) return [];
    const box = make("details", "trial-examples");
    box.append(make("summary", "", `${list.length} example${list.length === 1 ? "" : "s"}`), table(head, list.map(cells)));
    return [box];
  }
  const changes = (list) => examples(list, [["of"], ["when (UTC)"], ["today"], ["changed"]], (each) => [key(each.key), when(each.at), value(each.today), value(each.changed)]);

  function rules({ rows }) {
    const counts = [["let through", rows.today, rows.changed], ["by this side alone", rows.only_today, rows.only_changed]];
    for (const { rule, today, changed } of rows.rules.filter((each) => each.today !== each.changed)) counts.push([`turned away by ${rule}`, today, changed]);
    const from = `${exact(rows.history)} events of the lake${rows.rejects === null ? "" : ` and ${exact(rows.rejects)} that were turned away once`}`;
    return part("Rows", make("p", "quiet", from), table([[""], ["today", true], ["changed", true]], counts.map(([name, ...both]) => [name, ...both.map(exact)])),
      ...examples(rows.examples, [["of"], ["when (UTC)"], ["only"], ["because the other turns it away by"]], (each) => [key(each.key), when(each.at), each.accepted_by, each.because]));
  }
  function columns({ columns: all, columns_of_one: own }) {
    const apart = all.filter((each) => each.differ).sort((one, other) => other.differ - one.differ), parts = [];
    if (apart.length) parts.push(table([["column"], ["rows that differ", true], ["of", true], [""]], apart.map((each) => [each.column, exact(each.differ), exact(each.of), changes(each.examples)])));
    else parts.push(make("p", "quiet", `None of ${all.length} columns differs.`));
    if (own.length) parts.push(table([["column of one side"], ["side"], ["filled rows", true]], own.map((each) => [each.column, each.side, exact(each.filled)])));
    return part("Columns", ...parts);
  }
  function rollups({ rollups: all }) {
    return all.flatMap((each) => {
      const said = each.note ? [make("p", "quiet", `${each.note}; today ${exact(each.today)} windows, changed ${exact(each.changed)}`)]
        : [make("p", "quiet", `${exact(each.both)} windows on both sides, ${exact(each.only_today)} only today, ${exact(each.only_changed)} only changed`)];
      const measures = each.measures.filter(({ differ }) => differ);
      if (measures.length) said.push(table([["measure"], ["windows that differ", true], ["largest", true], [""]], measures.map((of) => [of.measure, exact(of.differ), of.largest === null ? "\u2013" : window.tidegate.show.number(of.largest), changes(of.examples)])));
      return part(`Rollup ${each.rollup}`, ...(each.chart.length > 1 ? [chart(each)] : []), ...said);
    });
  }
  /* Both sides of one measure over time. Where they are the same, one line is seen. */
  function chart({ rollup, charted, chart: points }) {
    const box = make("figure", "trial-chart"), svg = document.createElementNS(SVG, "svg"), times = points.map(({ at }) => Date.parse(at));
    const top = Math.max(...points.flatMap(({ today, changed }) => [today || 0, changed || 0])), first = times[0], span = times[times.length - 1] - first || 1;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${charted} of ${rollup} over time, today and changed`);
    for (const side of ["today", "changed"]) {
      const line = svg.appendChild(document.createElementNS(SVG, "polyline"));
      const at = (index) => `${(PAD + ((WIDTH - 2 * PAD) * (times[index] - first)) / span).toFixed(1)},${(HEIGHT - PAD - ((HEIGHT - 2 * PAD) * (points[index][side] || 0)) / (top || 1)).toFixed(1)}`;
      line.setAttribute("points", points.map((_, index) => at(index)).join(" "));
      line.setAttribute("class", `trial-${side}`);
    }
    const legend = make("figcaption", "quiet");
    legend.append(`${charted}, at most ${exact(top)}: `, make("span", "trial-today", "today"), " ", make("span", "trial-changed", "changed"), `; ${when(points[0].at)} to ${when(points[points.length - 1].at)}`);
    box.append(svg, legend);
    return box;
  }
  function entities({ entities: all }) {
    if (!all.length) return [];
    const rows = all.map((each) => [each.entity, exact(each.today), exact(each.changed), exact(each.differ), each.note || Object.entries(each.columns).map(([name, count]) => `${name} ${exact(count)}`).join(", "), changes(each.examples)]);
    return part("Entities", table([["entity"], ["today", true], ["changed", true], ["differ", true], ["by column"], [""]], rows));
  }
  function gates({ gates: all }) {
    if (!all.length) return [];
    const told = (side) => {
      if (!side) return "no suite";
      const made = make("span", "", side.outcome);
      made.title = side.reason || "";
      return made;
    };
    return part("Gates", table([["gate"], ["today"], ["changed"], ["judged", true], ["because"]], all.map(({ stage, table: of, today, changed }) => [
      of ? `${stage} of ${of}` : stage, told(today), told(changed), exact((changed || today).judged), [today, changed].filter((side) => side && side.reason).map((side) => side.reason)[0] || ""])));
  }
  function schemas({ schemas: all }) {
    if (!all.length) return [];
    const list = make("ul");
    for (const { sentence, breaks } of all) list.appendChild(make("li")).append(...window.tidegate.make.prose(sentence), breaks.length ? ` (breaks ${breaks.join(", ")})` : "");
    return part("Schema of valid events", list);
  }
  function cost({ cost: { today, changed, turns } }) {
    const each = ({ cpu_s: cpu, events }) => (events >= ENOUGH ? `${((1e6 * cpu) / events).toFixed(1)} \u00b5s` : "too few events"), box = make("div");
    box.append(...part("Cost", make("p", "quiet", `${turns} turns; who begins alternates`), table([[""], ["today", true], ["changed", true]], [
      ["CPU", `${today.cpu_s.toFixed(1)} s`, `${changed.cpu_s.toFixed(1)} s`], ["CPU an event", each(today), each(changed)], ["time", `${today.took_s.toFixed(1)} s`, `${changed.took_s.toFixed(1)} s`],
      ["files written", exact(today.files), exact(changed.files)], ["bytes written", window.tidegate.values.bytes(today.bytes), window.tidegate.values.bytes(changed.bytes)]])));
    return box;
  }
  function kept({ tables, notes }) {
    const box = make("details"), list = make("ul");
    box.append(make("summary", "", `${Object.keys(tables).length} tables are kept for SQL`));
    for (const [name, path] of Object.entries(tables)) list.appendChild(make("li")).append(`${name}: `, make("code", "", path));
    for (const note of notes) list.append(make("li", "quiet", note));
    box.append(list);
    return box;
  }

  /* Promotion is an operation with its own plan; to discard is asked twice. */
  function does({ stream }, { id }) {
    const line = make("div", "asks"), said = make("span", "quiet"), promote = make("button", "copy", "Promote \u2026"), discard = make("button", "copy", "Discard");
    for (const [button, action] of [[promote, "approve"], [discard, "operate"]]) Object.assign(button, { type: "button" }).dataset.action = action;
    promote.dataset.trialDo = "promote";
    discard.dataset.trialDo = "discard";
    promote.addEventListener("click", () => window.tidegate.operate.start({ kind: "promotion", asked: { stream, trial: id } }, { title: `Make trial ${id} today\u2019s ${stream}`, cli: `tidegate trial promote ${id}` }));
    let isSure = false;
    discard.addEventListener("click", async () => {
      if (!isSure) {
        isSure = true;
        discard.textContent = "Discard its tables: sure?";
        setTimeout(() => { isSure = false; discard.textContent = "Discard"; }, 6000);
        return;
      }
      const { reason } = await window.tidegate.inquire.ask(`trials/${encodeURIComponent(id)}`, { method: "DELETE" });
      said.textContent = reason || "Discarded: its tables are gone, and it cannot be promoted any more.";
      promote.disabled = discard.disabled = !reason;
    });
    said.setAttribute("role", "status");
    line.append(promote, window.tidegate.make.copyButton(`tidegate trial promote ${id}`), discard, window.tidegate.make.copyButton(`tidegate trial discard ${id}`), said);
    return line;
  }

  function promoted(found) {
    if (!found.folder) return [window.tidegate.values.tree(found)];
    const list = make("ul"), { backfill } = found, parts = [list];
    list.append(make("li", "", found.restarted.length ? `Started again: ${found.restarted.join(", ")}` : "No part was started again; suites and reference tables are followed."));
    if (found.restart_by_hand.length) list.append(make("li", "", `Start these again, as no supervisor is here: ${found.restart_by_hand.join(", ")}`));
    if (backfill) {
      const go = make("button", "copy", "Plan a backfill of the trial\u2019s window"), { stream, since, until } = backfill.asked, cli = `tidegate backfill ${stream} --since ${since} --until ${until}`;
      go.type = "button";
      go.dataset.action = "plan";
      go.dataset.trialDo = "backfill";
      go.addEventListener("click", () => window.tidegate.operate.start(backfill, { cli }));
      const line = make("div", "asks");
      line.append(go, window.tidegate.make.copyButton(cli));
      parts.push(line);
    }
    return parts;
  }

  window.tidegate.operate.results.trial = result;
  window.tidegate.operate.results.promotion = promoted;
})();
