/* The Spark page's tables: executors and stages, as Spark's REST API told of them. */
(function () {
  "use strict";
  const FIRST = 12, SKEWED_FROM = 2, SKEWED_FROM_S = 1, GC_FROM = 0.1;
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const lasting = (value) => window.tidegate.moments.lasting(value);
  const find = (what, name) => document.querySelector(`[data-spark-${what}="${name}"]`);
  const place = (what) => new URLSearchParams(location.search).get(what);
  const wide = new Set(); /* parts of which all stages are shown */

  function size(value) {
    if (value === null || value === undefined) return null;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    for (; value >= 1024 && unit < 4; unit += 1) value /= 1024;
    return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)}\u00a0${units[unit]}`;
  }
  const percent = (part, whole) => (whole > 0 ? part / whole : null);
  const said = (share) => (share === null ? "\u2013" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`);

  function tables(part) {
    executors(part);
    stages(part);
  }
  function emptyRow(columns, text, className) {
    const row = make("tr"), cell = row.appendChild(make("td", className, text));
    cell.colSpan = columns;
    return row;
  }

  function executors({ part, observed, reason }) {
    const body = find("executors", part).tBodies[0], shown = observed ? observed.executors : [];
    redraw(body, JSON.stringify([shown, observed === null]), () => {
      if (!observed) return [emptyRow(12, `unknown: ${reason || "nobody has asked"}`, "is-unknown")];
      return shown.length ? shown.map(executorRow) : [emptyRow(12, observed.reason ? `unknown: ${observed.reason}` : "None.", observed.reason ? "is-unknown" : "quiet")];
    });
  }
  function executorRow(each) {
    const row = make("tr"), share = percent(each.gc_s, each.task_s), { number } = window.tidegate.show;
    row.dataset.executor = each.executor;
    row.classList.toggle("is-gone", !each.is_active);
    const texts = [
      each.executor, each.cores, each.active_tasks, each.completed_tasks.toLocaleString("en"), each.failed_tasks, lasting(each.task_s), said(share), size(each.input_bytes),
      `${size(each.shuffle_read_bytes)} / ${size(each.shuffle_write_bytes)}`, `${size(each.memory_used_bytes)} of ${size(each.memory_bytes)}`,
    ];
    for (const text of texts) row.append(make("td", "", String(text)));
    if (each.failed_tasks) row.cells[4].className = "is-bad";
    if (share > GC_FROM) row.cells[6].className = "is-bad";
    window.tidegate.show.put(row.appendChild(make("td")), size(each.heap_peak_bytes), "Spark has not told it yet");
    const there = row.appendChild(make("td"));
    if (!each.is_active) there.append(`gone${each.removed_why ? `: ${each.removed_why}` : ""}`);
    else if (each.added_at) there.append(window.tidegate.moments.moment("", each.added_at, "for"));
    row.title = each.is_active ? "" : `it ended ${each.removed_at ? window.tidegate.show.clock(each.removed_at) : ""}, ${number(each.completed_tasks)} tasks`;
    return row;
  }

  function stages({ part, observed, reason, started }) {
    const table = find("stages", part), told = find("stages-said", part), of = table.dataset.queries.split("|");
    const isOne = of.length === 1, all = (observed ? observed.stages : []).filter((each) => !isOne || each.query === of[0]);
    const here = place("stage"), isHere = (each) => here !== null && String(each.stage) === here;
    const shown = wide.has(part) ? all : all.filter((each, index) => index < FIRST || isHere(each));
    redraw(told, JSON.stringify([all.length, shown.length, wide.has(part)]), () => saidOf(part, all.length, shown.length));
    redraw(table.tBodies[0], JSON.stringify([shown, here, observed === null, started && started.ui]), () => {
      if (!observed) return [emptyRow(12, `unknown: ${reason || "nobody has asked"}`, "is-unknown")];
      return shown.length ? shown.map((each) => stageRow(each, started && started.ui, isHere(each))) : [emptyRow(12, observed.reason ? `unknown: ${observed.reason}` : "None in the last minutes.", observed.reason ? "is-unknown" : "quiet")];
    });
  }
  function saidOf(part, count, shown) {
    if (count <= FIRST) return ["of the last minutes, those that run first"];
    const button = make("button", "copy", shown < count ? `show all ${count}` : "show fewer");
    button.type = "button";
    button.addEventListener("click", () => {
      wide[shown < count ? "add" : "delete"](part);
      window.tidegate.spark.again();
    });
    return ["of the last minutes, those that run first ", button];
  }
  function stageRow(each, ui, isHere) {
    const row = make("tr"), name = `${each.stage}${each.attempt ? `.${each.attempt}` : ""}`;
    row.dataset.stage = name;
    row.classList.toggle("is-here", isHere);
    const first = row.appendChild(make("td"));
    if (ui && /^https?:\/\//.test(ui)) {
      const link = first.appendChild(make("a", "more", name));
      Object.assign(link, { href: `${ui}/stages/stage/?id=${each.stage}&attempt=${each.attempt}`, target: "_blank", rel: "noopener" });
    } else first.textContent = name;
    row.append(make("td", each.query ? "" : "quiet", each.query ? `${each.query}${each.batch_id === null ? "" : ` ${each.batch_id}`}` : "none"));
    row.append(make("td", "spark-what", each.name));
    row.cells[2].title = each.name;
    const state = row.appendChild(make("td", "", each.state));
    state.dataset.state = { active: "running", complete: "done", failed: "failed", pending: "waiting" }[each.state] || "";
    if (each.failure) state.title = each.failure;
    row.append(make("td", each.failed_tasks ? "is-bad" : "", `${each.completed_tasks} of ${each.tasks}${each.active_tasks ? `, ${each.active_tasks} run` : ""}${each.failed_tasks ? `, ${each.failed_tasks} failed` : ""}`));
    row.append(skewCell(each));
    const gc = percent(Math.min(each.gc_s, each.run_s), each.run_s), isLong = each.run_s >= SKEWED_FROM_S;
    row.append(make("td", "", lasting(each.run_s)), make("td", "", said(percent(Math.min(each.cpu_s, each.run_s), each.run_s))), make("td", isLong && gc > GC_FROM ? "is-bad" : "", said(gc)));
    const read = row.appendChild(make("td", "", each.input_rows || each.input_bytes ? size(each.input_bytes) : "\u2013"));
    read.title = `${window.tidegate.show.exact(each.input_rows)} rows`;
    row.append(make("td", "", each.shuffle_read_bytes || each.shuffle_write_bytes ? `${size(each.shuffle_read_bytes)} / ${size(each.shuffle_write_bytes)}` : "\u2013"));
    row.append(make("td", each.spilled_disk_bytes ? "is-bad" : "", each.spilled_disk_bytes ? size(each.spilled_disk_bytes) : "\u2013"));
    return row;
  }
  /* One task much longer than the others: the stage waits for it. Against the mean, because of two tasks one is the median. */
  function skewCell(each) {
    const cell = make("td"), { task_s: times, task_rows: rows, state, tasks: count } = each;
    if (!times) {
      window.tidegate.show.put(cell, state === "active" ? "\u2026" : null, "Spark has told no task times of it");
      return cell;
    }
    const [median, , longest] = times, mean = each.run_s / Math.max(1, each.completed_tasks), ratio = longest / Math.max(mean, 0.001);
    cell.append(`${lasting(median)}, ${lasting(longest)}`);
    cell.title = rows ? `rows: median ${window.tidegate.show.number(rows[0])}, most ${window.tidegate.show.number(rows[2])}` : "";
    if (count > 1 && longest >= SKEWED_FROM_S && ratio >= SKEWED_FROM) {
      const mark = cell.appendChild(make("span", "chip", `${ratio.toFixed(1)}\u00d7`));
      mark.dataset.state = "skewed";
      mark.title = "skewed: the longest task took so many times as long as the mean";
    }
    return cell;
  }

  Object.assign(window.tidegate.spark, { tables, size });
})();
