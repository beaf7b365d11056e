/* The lake page: each stream's Delta tables as they were measured last, and what maintenance did. */
(function () {
  "use strict";
  const exact = (value) => (value === null || value === undefined ? null : value.toLocaleString("en"));
  function size(value) {
    if (value === null || value === undefined) return null;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit++; }
    return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
  }
  const extent = (each) => (each ? `${exact(each.files)} \u00b7 ${size(each.bytes)}` : "\u2013");
  const find = (what, name) => document.querySelector(`[data-lake-${what}="${name}"]`);
  function cellOf(row, text, title, className) {
    const cell = row.insertCell();
    cell.textContent = text;
    cell.title = title || "";
    if (className) cell.className = className;
    return cell;
  }
  /* A row is built anew only when it says something new, so that what is being copied stays selected. */
  const drawn = new WeakMap();
  function redraw(table, key, rows) {
    if (!table || drawn.get(table) === key) return;
    drawn.set(table, key);
    table.tBodies[0].replaceChildren(...rows());
  }

  function lake(frame) {
    for (const stream of frame.streams) {
      paintNext(stream);
      redraw(find("tables", stream.name), JSON.stringify([stream.tables, Math.floor(Date.parse(frame.at) / 5000)]), () => stream.tables.map(tableRow));
    }
    const isHeard = frame.streams.some(({ planned }) => planned.looked_at || planned.next_at);
    redraw(find("runs", "all"), JSON.stringify([frame.runs, isHeard]), () => (frame.runs.length ? frame.runs.map(runRow) : [noRun(isHeard)]));
    return true;
  }

  function paintNext({ name, planned }) {
    const { put, seconds } = window.tidegate.show, element = find("next", name), reason = find("reason", name);
    if (!element) return;
    const wait = planned.next_at ? Math.max(0, (Date.parse(planned.next_at) - window.tidegate.hubNow()) / 1000) : null;
    put(element, planned.is_running ? "runs now" : wait === null ? null : `in ${seconds(wait)}`, planned.reason);
    const looked = planned.looked_at ? `Looked at ${window.tidegate.show.clock(planned.looked_at)}: ${planned.due === 1 ? "1 stage was" : `${exact(planned.due)} stages were`} due.` : "";
    const why = planned.reason || "", said = [looked, why && `${why.charAt(0).toUpperCase()}${why.slice(1)}.`].filter(Boolean).join(" ");
    reason.textContent = said;
    reason.hidden = !said;
  }

  function tableRow({ table, measured, horizon, published, last }) {
    const { put, seconds, age, clock } = window.tidegate.show, row = document.createElement("tr"), why = measured.reason;
    cellOf(row, table);
    for (const text of [exact(measured.files), size(measured.bytes), exact(measured.small_files), exact(measured.version)]) {
      put(cellOf(row, ""), text, why);
    }
    if (measured.versions !== null) row.lastChild.title = `${exact(measured.versions)} versions can be read`;
    const since = measured.committed_at ? `${seconds(Math.ceil(age(measured.committed_at)))} ago` : null;
    put(cellOf(row, ""), since, why || (measured.committed_at && clock(measured.committed_at)));
    for (const until of [horizon, published]) {
      if (!table.startsWith("rollup_")) cellOf(row, "\u2013");
      else put(cellOf(row, ""), until ? until.slice(0, 16).replace("T", " ") : null, until ? "" : "no window has been closed since the control plane's start");
    }
    const cell = cellOf(row, last ? `${last.stage}, ${seconds(age(last.at))} ago` : "\u2013", last ? last.what : "none that is remembered", "what");
    if (last && last.error) { cell.dataset.state = "failed"; cell.textContent += ", failed"; cell.title = last.error; }
    return row;
  }

  function noRun(isHeard) {
    const row = document.createElement("tr");
    cellOf(row, isHeard ? "Nothing yet." : "Not known yet.", "", isHeard ? "quiet" : "is-unknown").colSpan = 8;
    return row;
  }
  function runRow(ran) {
    const { seconds, clock } = window.tidegate.show, row = document.createElement("tr");
    cellOf(row, clock(ran.at));
    for (const text of [ran.stream || "\u2013", ran.subject, ran.stage]) cellOf(row, text);
    const what = cellOf(row, ran.error ? `${ran.what}; failed: ${ran.error}` : ran.what, "", "what");
    if (ran.error) what.dataset.state = "failed";
    for (const text of [extent(ran.before), extent(ran.after), seconds(ran.took_s)]) cellOf(row, text);
    return row;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest('[data-lake-do="maintain"]');
    if (!button) return;
    const stream = button.dataset.lakeStream;
    window.tidegate.operate.start({ kind: "maintenance", asked: { stream } }, { title: `Maintenance of ${stream}`, cli: `tidegate maintain run --stream ${stream}` });
  });
  window.tidegate.painters.push((update) => (update.topic === "lake" ? lake(update.data) : false));
})();
