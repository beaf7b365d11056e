/* Which partitions of an operation are done? A cell for each, by colour and by a letter; days are laid out as weeks are. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const letters = { waiting: "\u00b7", running: "R", done: "D", failed: "F", cancelled: "C" };
  const words = { waiting: "waits", running: "runs", done: "done", failed: "failed", cancelled: "cancelled" };
  const DAY_MS = 86400000, isDay = (partition) => /^\d{4}-\d\d-\d\d$/.test(partition);

  /* One state a partition: of its stages the one that says most. */
  const weight = ["done", "waiting", "cancelled", "running", "failed"];
  function cells({ plan, stages }) {
    const found = new Map(stages.map((each) => [each.key, each])), byPartition = new Map();
    for (const stage of plan.stages) {
      if (stage.partition === null) continue;
      const at = found.get(stage.key) || { state: "waiting", done: null, total: null, note: "" }, held = byPartition.get(stage.partition);
      if (!held || weight.indexOf(at.state) > weight.indexOf(held.at.state)) byPartition.set(stage.partition, { stage, at });
    }
    return byPartition;
  }
  function cell(partition, { stage, at }) {
    const made = make("li", "cell", letters[at.state]), rows = at.done === null ? stage.rows : at.done;
    made.dataset.state = at.state;
    made.dataset.partition = partition;
    const said = `${partition}: ${words[at.state]}${rows === null ? "" : `, ${rows.toLocaleString("en")}${at.total ? ` of ${at.total.toLocaleString("en")}` : ""} rows`}${at.note ? `, ${at.note}` : ""}`;
    made.title = said;
    made.setAttribute("aria-label", said);
    if (at.state === "running" && at.total) made.style.setProperty("--share", `${(100 * at.done) / at.total}%`);
    return made;
  }

  /* Months one beside the other, each with its weeks as rows, Monday first. */
  function months(found) {
    const byMonth = new Map();
    for (const [partition, each] of found) {
      const month = partition.slice(0, 7);
      byMonth.set(month, [...(byMonth.get(month) || []), [partition, each]]);
    }
    return Array.from(byMonth, ([month, days]) => {
      const box = make("div", "matrix-month"), grid = make("ul", "matrix-days");
      for (const [partition, each] of days) {
        const day = new Date(`${partition}T00:00:00Z`), made = cell(partition, each), first = new Date(`${month}-01T00:00:00Z`);
        const weekday = (day.getUTCDay() + 6) % 7, before = (first.getUTCDay() + 6) % 7;
        made.style.gridColumn = weekday + 1;
        made.style.gridRow = Math.floor(((day - first) / DAY_MS + before) / 7) + 1;
        grid.append(made);
      }
      box.append(make("div", "quiet", month), grid);
      return box;
    });
  }
  function matrix(operation) {
    const found = new Map([...cells(operation)].sort(([one], [other]) => (one < other ? -1 : 1)));
    if (found.size < 2) return [];
    const box = make("div", "matrix"), counts = new Map();
    for (const { at } of found.values()) counts.set(at.state, (counts.get(at.state) || 0) + 1);
    if ([...found.keys()].every(isDay)) box.append(...months(found));
    else {
      const grid = make("ul", "matrix-plain");
      grid.append(...Array.from(found, ([partition, each]) => cell(partition, each)));
      box.append(grid);
    }
    const legend = make("p", "matrix-legend quiet");
    for (const [state, word] of Object.entries(words)) {
      if (!counts.has(state)) continue;
      const key = make("span", "cell", letters[state]);
      key.dataset.state = state;
      legend.append(key, ` ${word} ${counts.get(state).toLocaleString("en")}  `);
    }
    return [box, legend];
  }
  window.tidegate.operateMatrix = { matrix, cells };
})();
