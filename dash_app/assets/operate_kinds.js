/* How is what a rollback would change shown, and what a backfill has found? In tables with examples, stage by stage. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const values = () => window.tidegate.values;
  const exact = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en"));

  function examples(title, rows, columns) {
    const box = make("details");
    box.append(make("summary", "", title), values().table(rows, columns || null));
    return box;
  }

  /* Rows by key: what goes, what comes back, what changes; of a table that was not compared only how many there are. */
  function rollback(of) {
    if (!of.tables) return [values().tree(of)];
    const parts = [], { versions } = of;
    const said = make("p", "", `To version ${of.version}, as it was `);
    said.append(window.tidegate.moments.moment("", of.at));
    if (versions) said.append(`; ${exact(versions.rolled_back.length + versions.more)} later ${versions.rolled_back.length + versions.more === 1 ? "version is" : "versions are"} taken back.`);
    parts.push(said);
    parts.push(values().table(Object.entries(of.tables).map(([table, each]) => ({
      table, version: each.version === null ? "emptied" : each.version, "rows now": each.now, "rows then": each.then, go: each.goes, "come back": each.comes_back, change: each.changes, "": each.reason || "",
    })), ["table", "version", "rows now", "rows then", "go", "come back", "change", ""]));
    const words = { goes: "that go", comes_back: "that come back", changes: "that change" };
    for (const [table, each] of Object.entries(of.tables)) {
      for (const [what, rows] of Object.entries(each.examples || {})) {
        if (rows.length) parts.push(examples(`${table}: rows ${words[what] || what}, ${exact(rows.length)} of ${exact(each[what])}`, rows));
      }
    }
    if (of.replays_from && Object.keys(of.replays_from).length) parts.push(make("p", "quiet", `Goes on from offsets ${Object.entries(of.replays_from).map(([partition, until]) => `${partition}: ${exact(until)}`).join(", ")}.`));
    return parts;
  }

  const counted = (of, words) => words.filter(([name]) => of[name] !== undefined && of[name] !== null).map(([name, word]) => `${exact(of[name])} ${word}`).join(", ");
  function compared(of) {
    const parts = [], columns = Object.entries(of.columns || of.measures || {}).filter(([, count]) => count);
    const isNone = !["added", "gone", "changed", "new"].some((name) => of[name]);
    parts.push(make("p", isNone ? "quiet" : "", isNone ? `Nothing differs${of.before === undefined ? "" : ` in ${exact(of.before)} rows`}.` : counted(of, [["windows", "windows looked at"], ["before", "rows before"], ["after", "after"], ["changed", "changed"], ["added", "added"], ["new", "new"], ["gone", "gone"]])));
    if (columns.length) parts.push(values().table(columns.map(([column, count]) => ({ column, "that differ": count })), ["column", "that differ"]));
    if (of.examples && of.examples.length) parts.push(examples(`Examples: ${exact(of.examples.length)}`, of.examples.map(flat)));
    return parts;
  }
  const flat = (row) => Object.fromEntries(Object.entries(row).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value) && name === "key" ? Object.entries(value) : [[name, value]])));
  function gate(of) {
    const line = make("p", "");
    const badge = make("span", "badge", of.outcome);
    badge.dataset.state = ["passed", "none"].includes(of.outcome) ? "done" : "failed";
    line.append(badge, ` ${of.note || `${exact(of.judged)} of ${exact(of.rows)} rows were judged`}${of.reason ? `: ${of.reason}` : ""}`);
    return [line, ...(of.rules && of.rules.length ? [values().table(of.rules)] : [])];
  }

  /* What each stage has found that is about the whole; while it runs too, so that a comparison is seen before the swap. */
  function backfill(result, operation) {
    const found = new Map(operation.stages.map((each) => [each.key, each.result])), parts = [];
    for (const stage of operation.plan ? operation.plan.stages : []) {
      const of = found.get(stage.key);
      if (stage.partition !== null || !of || !Object.keys(of).length) continue;
      const draws = stage.does === "gate" ? gate : ["compare", "rollup", "entity"].includes(stage.does) && !of.note ? compared : (one) => [values().tree(one)];
      const box = make("section", "operation-found");
      box.dataset.found = stage.key;
      box.append(make("h4", "", stage.title), ...draws(of));
      parts.push(box);
    }
    return parts.length ? parts : [values().tree(result)];
  }

  window.tidegate.operate.previews.rollback = rollback;
  window.tidegate.operate.results.backfill = backfill;
  window.tidegate.operate.compared = compared;
})();
