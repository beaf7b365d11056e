/* One place for every operation: its plan, a typed confirmation, progress, the result, what undoes it. `start` and `open` show it in a
   dialog, `surface` in a box of a page. Only what the API says is shown; operate_view.js draws it, and pages may add how a kind's
   preview and result are drawn (`previews`, `results`). */
(function () {
  "use strict";
  const TICK_MS = 400, AGAIN_MS = 2000, LOG_LINES = 200, PLAN_WITHIN_MS = 20000;
  const ENDED = ["done", "cancelled", "failed"];
  const make = (...how) => window.tidegate.make.element(...how);
  const now = () => performance.now();
  const surfaces = new Set();

  const isEnded = (operation) => ENDED.includes(operation.state);
  const ask = (path, how) => window.tidegate.inquire.ask(`operations${path}`, how);
  /* crypto.randomUUID is there on https and on this machine only. */
  const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  function pushed(id) {
    const update = window.tidegate.latest.get("operations");
    return update ? update.data.operations.find((each) => each.id === id) : undefined;
  }

  /* What an operation is shown with: `state.operation` as the API gave it last, and what was said when something was asked of it. */
  function surface(box, { shown = () => {} } = {}) {
    const state = { operation: null, asked: null, words: {}, key: null, reason: null, isBusy: false, isAsking: false, askedAt: -Infinity, log: [], next: null, isOpen: { log: false } };
    const acts = { confirm, act, undo, again, open: show, log: toggleLog };
    const one = { box, state, acts, start, show, tick, clear };
    surfaces.add(one);

    function clear() {
      Object.assign(state, { operation: null, asked: null, words: {}, reason: null, isBusy: false, askedAt: -Infinity, log: [], next: null });
      paint();
    }
    /* The same key for the same question: what is asked twice because an answer was lost is one operation. */
    async function start(asked, words = {}) {
      clear();
      Object.assign(state, { asked, words, key: newKey() });
      return plan();
    }
    async function plan() {
      await busy(async () => {
        const { said, reason } = await ask("", { method: "POST", body: state.asked, headers: { "Idempotency-Key": state.key }, within: PLAN_WITHIN_MS });
        if (said) take(said);
        state.reason = reason;
      });
    }
    function show(id) {
      clear();
      state.operation = { id, state: "planning", kind: "", stream: "", asked: {}, stages: [], isUnread: true };
      return load();
    }
    function take(operation) {
      const isNew = !state.operation || state.operation.id !== operation.id;
      if (isNew) Object.assign(state, { log: [], next: null });
      state.operation = operation;
      if (isNew) shown(operation);
      paint();
    }
    async function load() {
      if (!state.operation || state.isAsking) return;
      const { id } = state.operation;
      Object.assign(state, { isAsking: true, askedAt: now() });
      const { said, reason, status } = await ask(`/${encodeURIComponent(id)}`);
      state.isAsking = false;
      if (!state.operation || state.operation.id !== id) return;
      if (said) {
        state.unread = null;
        take(said);
        if (state.isOpen.log) await loadLog();
      } else {
        state.unread = status === 404 ? `there is no operation ${id}` : reason;
        paint();
      }
    }
    async function loadLog() {
      const { id } = state.operation, cursor = state.next ? `?cursor=${encodeURIComponent(state.next)}` : "";
      const { said } = await ask(`/${encodeURIComponent(id)}/log${cursor}`);
      if (!said || !state.operation || state.operation.id !== id) return;
      state.log = [...state.log, ...said.items].slice(-LOG_LINES);
      state.next = said.next || state.next;
      paint();
    }
    function toggleLog(isOpen) {
      state.isOpen.log = isOpen;
      if (isOpen) Object.assign(state, { log: [], next: null });
      if (isOpen && state.operation) loadLog();
    }

    async function busy(work) {
      Object.assign(state, { isBusy: true, reason: null });
      paint();
      await work();
      state.isBusy = false;
      paint();
    }
    const post = (what, body = {}) => busy(async () => {
      const { said, reason } = await ask(`/${encodeURIComponent(state.operation.id)}/${what}`, { method: "POST", body });
      if (said) take(said);
      state.reason = reason;
    });
    function confirm(confirmation) { return post("confirm", { fingerprint: state.operation.plan.fingerprint, confirmation }); }
    function act(what) { return post(what); }
    function undo() { return post("undo"); }
    function again() {
      const { kind, asked, why } = state.operation || {};
      return start(state.operation ? { kind, asked, ...(why ? { why } : {}) } : state.asked, state.words);
    }

    function paint() { if (box.isConnected && window.tidegate.operateView) window.tidegate.operateView.draw(box, state, acts); }
    function tick() {
      if (!box.isConnected) return;
      const { operation } = state;
      if (operation && !document.hidden && !state.isBusy) {
        const seen = pushed(operation.id), isOlder = seen && seen.changed_at !== operation.changed_at;
        const wait = now() - state.askedAt, isLate = !isEnded(operation) && wait > AGAIN_MS;
        if (isLate || (isOlder && wait > TICK_MS)) load();
      }
      paint();
    }
    return one;
  }
  setInterval(() => { for (const each of surfaces) { if (each.box.isConnected) each.tick(); else if (each.wasShown) surfaces.delete(each); each.wasShown = each.wasShown || each.box.isConnected; } }, TICK_MS);

  /* The dialog is the browser's own: it keeps the focus, and Esc closes it. What it shows goes on when it is closed. */
  let dialog = null, inDialog = null;
  function opened() {
    if (!dialog) {
      dialog = make("dialog", "operate");
      dialog.id = "operate";
      dialog.setAttribute("aria-labelledby", "operate-title");
      const close = make("button", "copy operate-close", "Close"), body = make("div", "operation");
      close.type = "button";
      close.title = "Esc; what runs goes on";
      close.addEventListener("click", () => dialog.close());
      dialog.append(close, body);
      dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
      dialog.addEventListener("close", () => inDialog.clear());
      document.body.append(dialog);
      inDialog = surface(body);
    }
    if (!dialog.open) dialog.showModal();
    return inDialog;
  }
  for (const gone of ["popstate", "_dashprivate_pushstate"]) window.addEventListener(gone, () => { if (dialog && dialog.open) dialog.close(); });

  window.tidegate.operate = {
    /* asked: { kind, asked, why? }; words: { title?, cli? }, shown until the API has said its own. */
    start: (asked, words) => opened().start(asked, words),
    open: (id) => opened().show(id),
    close: () => { if (dialog && dialog.open) dialog.close(); },
    surface, isEnded, pushed, ask,
    previews: {}, results: {}, /* kind -> (preview or result, operation) => elements */
  };
})();
