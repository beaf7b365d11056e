/* What operations are there? Their number beside the navigation's link, lists of them, and the page of one. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const exact = (value) => value.toLocaleString("en");
  const UNDER_WAY = ["queued", "running", "paused"], WORKER_OLD_S = 30, WINDOW_MS = 20000;

  /* Rows a second: what has come since the oldest picture of the last seconds. Not known from one picture alone. */
  const seen = new Map(); /* id -> [{ at, rows }] */
  const rowsOf = ({ stages }) => stages.reduce((sum, each) => sum + (each.unit === "rows" && each.done !== null ? each.done : 0), 0);
  function note(frame) {
    const at = Date.parse(frame.at), there = new Set();
    for (const operation of frame.operations) {
      if (operation.state !== "running") continue;
      there.add(operation.id);
      const points = [...(seen.get(operation.id) || []), { at, rows: rowsOf(operation) }];
      seen.set(operation.id, points.filter((each) => each.at > at - WINDOW_MS));
    }
    for (const id of seen.keys()) if (!there.has(id)) seen.delete(id);
  }
  function rate(id) {
    const points = seen.get(id) || [], first = points[0], last = points[points.length - 1];
    return points.length > 1 && last.at > first.at && last.rows >= first.rows ? (1000 * (last.rows - first.rows)) / (last.at - first.at) : null;
  }

  function count(operations) {
    const running = operations.filter((each) => UNDER_WAY.includes(each.state)).length;
    for (const element of document.querySelectorAll("[data-operations-count]")) {
      element.textContent = running;
      element.hidden = running === 0;
      element.title = `${running} under way`;
    }
  }

  function lists(frame) {
    for (const table of document.querySelectorAll("[data-operations]")) {
      const { operations: kinds, stream } = table.dataset;
      const shown = frame.operations.filter((each) => (kinds === "all" || kinds.split(" ").includes(each.kind)) && (!stream || each.stream === stream));
      redraw(table.tBodies[0], JSON.stringify([shown, shown.map((each) => rate(each.id))]), () => (shown.length ? shown.map(row) : [none(table)]));
    }
    for (const said of document.querySelectorAll("[data-operations-worker]")) worker(said, frame);
  }
  function none(table) {
    const row = make("tr"), cell = row.appendChild(make("td", "quiet", "None yet."));
    cell.colSpan = table.tHead.rows[0].cells.length;
    return row;
  }
  function worker(element, frame) {
    const age = window.tidegate.show.age(frame.worker_at), isOld = age === null || age > WORKER_OLD_S;
    element.hidden = !isOld;
    const text = age === null ? "The part operations has not been heard yet: nothing is planned or run." : `The part operations was heard last ${window.tidegate.show.seconds(age)} ago: nothing is planned or run meanwhile.`;
    if (isOld && element.textContent !== text) element.textContent = text;
  }
  /* Of what is pushed there is no plan: how many stages there are, its progress says. */
  function row(operation) {
    const line = make("tr"), { id, kind, stream, state, wish, stages } = operation, done = stages.filter((each) => each.state === "done").length;
    const where = make("td"), is = make("td", "", wish !== "run" && UNDER_WAY.includes(state) ? `${state}, to ${wish}` : state), far = make("td"), bar = far.appendChild(make("span", "bar"));
    where.append(window.tidegate.make.link(id, `/operations/${encodeURIComponent(id)}`));
    where.firstChild.dataset.operationLink = id;
    is.dataset.state = state;
    bar.appendChild(make("i")).style.width = `${stages.length ? (100 * done) / stages.length : 0}%`;
    bar.hidden = !stages.length;
    const now = stages.find((each) => each.state === "running"), speed = rate(id);
    far.append(stages.length ? `${exact(done)} of ${exact(stages.length)}` : "\u2013");
    const what = make("td", "what quiet", operation.waits_for ? `waits: ${operation.waits_for}` : operation.reason || (now ? [now.key, now.note].filter(Boolean).join(": ") : operation.why));
    const age = make("td", "quiet");
    age.append(window.tidegate.moments.moment("", operation.at));
    line.append(where, make("td", "", window.tidegate.operateView.names[kind] || kind), make("td", "", stream), is, far, make("td", "number", speed === null ? "\u2013" : window.tidegate.show.number(speed)), what, make("td", "quiet", operation.by), age);
    line.dataset.operation = id;
    return line;
  }

  /* The page of one operation. */
  const shownIn = new WeakMap();
  function one() {
    const box = document.querySelector("[data-operation-page]");
    if (!box || !window.tidegate.operateView) return;
    const id = box.dataset.operationPage, held = shownIn.get(box) || { surface: window.tidegate.operate.surface(box, { shown }), id: null };
    shownIn.set(box, held);
    if (held.id === id) return;
    held.id = id;
    held.surface.show(id);
  }
  /* What undoes it, or is planned again, has a page of its own. */
  function shown({ id }) {
    const box = document.querySelector("[data-operation-page]");
    if (box && box.dataset.operationPage !== id) window.tidegate.make.link("", `/operations/${encodeURIComponent(id)}`).click();
  }

  window.tidegate.operate.rate = rate;
  window.tidegate.painters.push((update) => {
    if (update.topic !== "operations") return false;
    note(update.data);
    count(update.data.operations);
    lists(update.data);
    return true;
  });
  setInterval(one, 200);
})();
