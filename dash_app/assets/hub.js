/* The console's one WebSocket: subscribe to what the page shows, keep the newest update of each topic, draw it in one
   animation frame, and tell the hub when it was on screen. The connection itself is dash_app/board/client.js, which comes back after a
   loss and goes on where it was; what is on screen meanwhile stays dimmed until something of now has come. */
(function () {
  "use strict";
  const CLIENT = "/push-client.js", AGAIN_AFTER_MS = 1000;
  const state = {
    connection: { connection: "connecting", since: 0, reason: null }, heardAt: null, dirty: new Map(), scheduled: false, nextAt: 0,
    get clockOffset() { return watching ? watching.hubNow() - now() : 0; },
  };
  const paints = [];
  let watching = null;
  window.tidegate = { ...window.tidegate, paints, state, latest: new Map(), painters: [] };
  const KEPT_PAINTS = 20000;
  const now = () => performance.timeOrigin + performance.now();
  window.tidegate.hubNow = () => now() + state.clockOffset;

  function address() {
    const root = document.getElementById("console");
    const port = root && root.dataset.pushPort;
    const host = port ? `${location.hostname}:${port}` : location.host;
    return `${location.protocol === "https:" ? "wss" : "ws"}://${host}/api/v1/push`;
  }

  /* A module that could not be loaded is not asked for again under the same address. */
  async function connect(tries = 0) {
    try {
      const { watch } = await import(tries ? `${CLIENT}?try=${tries}` : CLIENT);
      watching = watch({ url: address(), topics: wanted(), onUpdate, onState });
    } catch (error) {
      console.warn("the hub's client could not be loaded:", error);
      setTimeout(connect, AGAIN_AFTER_MS, tries + 1);
    }
  }

  function onState(next) {
    state.connection = next;
    if (next.connection === "live") state.heardAt = now();
    if (next.connection === "refused") window.tidegate.session.check();
    show();
  }
  /* What is said of the connection; how long it was away is said until something of now has come. */
  function show() {
    const { connection, since, reason } = state.connection, away = `offline for ${Math.round((now() - since) / 1000)} s`;
    const said = { offline: away, resuming: `resuming, ${away}`, refused: `refused: ${reason}` }[connection] || connection;
    document.body.dataset.connection = connection;
    const element = document.getElementById("connection-text");
    if (element && element.textContent !== said) element.textContent = said;
  }
  setInterval(show, 1000);

  /* Topics are read from the page itself, so whoever lays out a page says what it needs. A rollup that is scrolled away
     needs nothing: asking for it costs ClickHouse as much as one that is seen. It is asked for a little before it comes
     into view, and begins with a full frame; until that is drawn its numbers are dimmed. */
  const away = new WeakSet();
  const watcher = new IntersectionObserver((cards) => {
    for (const { target: card, isIntersecting: isSeen } of cards) {
      away[isSeen ? "delete" : "add"](card);
      if (!isSeen) card.classList.add("is-stale");
    }
    subscribe();
  }, { rootMargin: "150px" });
  /* Asked of the cards that are on the page now: one that was swapped for a new one is "not seen" too. */
  function isAway(topic) {
    const card = document.querySelector(`[data-rollup="${topic}"]`);
    return card !== null && away.has(card);
  }
  function wanted() {
    const page = document.querySelector("[data-topics]");
    const nav = document.querySelector("[data-topics-too]"), named = `${page ? page.dataset.topics : ""} ${nav ? nav.dataset.topicsToo : ""}`;
    return [...new Set(named.split(" "))].filter((topic) => topic && !isAway(topic));
  }
  function subscribe() { if (watching) watching.setTopics(wanted()); }
  function watchCards() {
    watcher.disconnect();
    for (const card of document.querySelectorAll("[data-rollup]")) watcher.observe(card);
  }
  window.tidegate.pageChanged = () => { watchCards(); subscribe(); for (const topic of window.tidegate.latest.keys()) mark(topic); };

  function onUpdate(topic, data, meta) {
    state.heardAt = now();
    window.tidegate.latest.set(topic, { topic, data, seq: meta.seq, sent_at_ms: meta.sentAtMs });
    mark(topic);
  }

  function mark(topic) {
    state.dirty.set(topic, window.tidegate.latest.get(topic));
    schedule();
  }

  /* The page rests at least as long as it drew: on a slow machine pictures come less often instead of later and later. */
  const PICTURES_AT_MOST_EVERY_MS = 60, DRAWN_WITHIN_MS = 2000;
  function schedule() {
    if (state.scheduled) return;
    state.scheduled = true;
    setTimeout(() => requestAnimationFrame(paint), Math.max(0, state.nextAt - now()));
  }

  async function paint() {
    const began = now(), updates = Array.from(state.dirty.values());
    state.dirty.clear();
    const shown = await Promise.all(updates.map(async (update) => {
      try {
        /* A chart whose element was swapped meanwhile may never say that it is drawn. */
        const drawing = Promise.all(window.tidegate.painters.map((painter) => painter(update)));
        const tooLong = new Promise((resolve) => setTimeout(resolve, DRAWN_WITHIN_MS, []));
        const drawn = await Promise.race([drawing, tooLong]);
        return drawn.some(Boolean) ? update : null;
      } catch (error) {
        /* One update that can't be drawn must not hold up the others. */
        reportError(error);
        return null;
      }
    }));
    /* The second frame begins after the first was presented: only then is the picture on screen. */
    requestAnimationFrame(() => requestAnimationFrame(() => {
      shown.filter(Boolean).forEach(painted);
      state.nextAt = Math.max(began + PICTURES_AT_MOST_EVERY_MS, 2 * now() - began);
      state.scheduled = false;
      if (state.dirty.size) schedule();
    }));
  }

  function painted(update) {
    if (update.acknowledged) return;
    update.acknowledged = true;
    const at = window.tidegate.hubNow();
    watching.painted(update.topic, update.seq);
    paints.push({ topic: update.topic, seq: update.seq, sent_at_ms: update.sent_at_ms, at_ms: at, marks: update.data.marks || null });
    if (paints.length > KEPT_PAINTS) paints.splice(0, paints.length - KEPT_PAINTS);
  }

  /* Dash swaps the page's elements when the address changes: then everything is drawn anew. */
  let shown = null;
  new MutationObserver(() => {
    const page = document.querySelector("[data-topics]");
    if (page === shown) return;
    shown = page;
    window.tidegate.pageChanged();
    show();
  }).observe(document.documentElement, { childList: true, subtree: true });
  const start = () => (document.getElementById("console") ? connect() : setTimeout(start, 30));
  start();
})();
