/* What operations are there? Their number beside the navigation's link, lists of them, and the page of one. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const exact = (value) => value.toLocaleString("en");
  const UNDER_WAY = ["queued", "running", "paused"], WORKER_OLD_S = 30, WINDOW_MS = 20000, PUSHED = 50;

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
      redraw(table.tBodies[0], JSON.stringify([shown, shown.map((each) => rate(each.id))]), () => (shown.length ? shown.map(row) : [none(table, frame)]));
    }
    for (const said of document.querySelectorAll("[data-operations-worker]")) worker(said, frame);
  }
  /* Only the newest of all kinds are pushed. */
  function none(table, { operations: all }) {
    const text = all.length < PUSHED ? "None yet." : `None among the newest ${exact(all.length)} operations.`;
    const row = make("tr"), cell = row.appendChild(make("td", "quiet", text));
    cell.colSpan = table.tHead.rows[0].cells.length;
    return row;
  }
  function worker(element, frame) {
    const age = window.tidegate.show.age(frame.worker_at), isConnected = document.body.dataset.connection === "live", isOld = isConnected && (age === null || age > WORKER_OLD_S);
    element.hidden = !isOld;
    const text = age === null ? "The part operations has not been heard yet: nothing is planned or run." : `The part operations was heard last ${window.tidegate.show.seconds(age)} ago: nothing is planned or run meanwhile.`;
    if (isOld && element.textContent !== text) element.textContent = text;
  }
  /* Of what is pushed there is no plan: how many stages there are, its progress says. */
  const doneOf = ({ stages }) => stages.filter((each) => each.state === "done").length;
  const stateOf = ({ state, wish }) => (wish !== "run" && UNDER_WAY.includes(state) ? `${state}, to ${wish}` : state);
  const kindOf = ({ kind }) => window.tidegate.operateView.names[kind] || kind;
  const speedOf = ({ id }) => { const speed = rate(id); return speed === null ? "\u2013" : window.tidegate.show.number(speed); };
  const linkOf = ({ id }) => {
    const link = window.tidegate.make.link(id, `/operations/${encodeURIComponent(id)}`);
    link.dataset.operationLink = id;
    return link;
  };
  function whatOf({ stages, waits_for: waits, reason, why }) {
    const now = stages.find((each) => each.state === "running");
    return waits ? `waits: ${waits}` : reason || (now ? [now.key, now.note].filter(Boolean).join(": ") : why);
  }
  function farOf(operation) {
    const { stages } = operation, done = doneOf(operation), bar = make("span", "bar");
    bar.appendChild(make("i")).style.width = `${stages.length ? (100 * done) / stages.length : 0}%`;
    bar.hidden = !stages.length;
    return [bar, stages.length ? `${exact(done)} of ${exact(stages.length)}` : "\u2013"];
  }
  function row(operation) {
    const line = make("tr"), where = make("td"), is = make("td", "", stateOf(operation)), far = make("td"), age = make("td", "quiet");
    where.append(linkOf(operation));
    is.dataset.state = operation.state;
    far.append(...farOf(operation));
    age.append(window.tidegate.moments.moment("", operation.at));
    line.append(where, make("td", "", kindOf(operation)), make("td", "", operation.stream), is, far, make("td", "number", speedOf(operation)), make("td", "what quiet", whatOf(operation)), make("td", "quiet", operation.by), age);
    line.dataset.operation = operation.id;
    return line;
  }

  /* The page of all of them: however many there have been. */
  const COLUMNS = [
    { field: "id", title: "operation", hint: "Its own page has its plan, its stages and its log", width: 150, draw: ({ id }) => linkOf({ id }) },
    { field: "kind", title: "kind", width: 110 },
    { field: "stream", title: "stream", width: 100 },
    { field: "state", title: "state", width: 130, draw: ({ state, is }) => { const said = make("span", "state", state); said.dataset.state = is; return said; } },
    { field: "done", title: "stages done", isNumber: true, hasFilter: false, width: 170, draw: ({ operation }) => farOf(operation) },
    { field: "speed", title: "rows/s", hint: "Of the last 20 seconds, while it runs", isNumber: true, hasFilter: false, width: 90, draw: ({ operation }) => speedOf(operation) },
    { field: "what", title: "what", hint: "What it does, waits for, or why it ended", width: 200, flex: 1 },
    { field: "by", title: "by", hint: "Who asked for it", width: 100 },
    { field: "at", title: "asked", hint: "When", hasFilter: false, width: 110, draw: ({ at }) => window.tidegate.moments.moment("", at) },
  ];
  function whole(frame) {
    const said = document.querySelector("[data-operations-said]");
    if (!said) return;
    said.textContent = frame.operations.length ? "" : "None yet.";
    said.hidden = frame.operations.length > 0;
    const rows = frame.operations.map((each) => ({ id: each.id, kind: kindOf(each), stream: each.stream, state: stateOf(each), is: each.state, done: doneOf(each), operation: each, speed: rate(each.id), what: whatOf(each), by: each.by, at: each.at }));
    if (rows.length) window.tidegate.grid.show("operations", { columns: COLUMNS, rows, key: "operations", open: (id) => window.tidegate.address.go(`/operations/${encodeURIComponent(id)}`) });
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
    whole(update.data);
    return true;
  });
  setInterval(one, 200);
})();
