/* The console's one WebSocket: subscribe to what the page shows, keep the newest update of each topic, draw it in one
   animation frame, and tell the hub when it was on screen. The protocol is controlplane/contract/push.py. */
(function () {
  "use strict";
  const state = { socket: null, tries: 0, retry: 0, triedAt: 0, lostAt: null, heardAt: null, topics: "", clockOffset: 0, bestRoundTrip: Infinity, dirty: new Map(), scheduled: false, nextAt: 0 };
  const paints = [];
  window.tidegate = { ...window.tidegate, paints, state, latest: new Map(), receivedAt: new Map(), painters: [] };
  const KEPT_PAINTS = 20000;
  const now = () => performance.timeOrigin + performance.now();
  window.tidegate.hubNow = () => now() + state.clockOffset;

  function address() {
    const root = document.getElementById("console");
    const port = root && root.dataset.pushPort;
    const host = port ? `${location.hostname}:${port}` : location.host;
    return `${location.protocol === "https:" ? "wss" : "ws"}://${host}/api/v1/push`;
  }

  /* The code of a socket that nobody is signed in for; one that is refused at once has no code of its own. */
  const REFUSED = 1008;
  function connect() {
    clearTimeout(state.retry);
    const socket = new WebSocket(address());
    state.socket = socket;
    state.triedAt = now();
    let isLive = false;
    socket.onopen = () => { isLive = true; state.tries = 0; state.lostAt = null; state.topics = ""; heard(); show("live"); subscribe(); ping(); };
    socket.onmessage = (event) => { heard(); receive(JSON.parse(event.data)); };
    socket.onclose = ({ code }) => { if (!isLive || code === REFUSED) window.tidegate.session.check(); lost(); };
  }

  /* Whoever is on call looks at the page and waits: try often, a little less so when it takes long. */
  const PATIENT_AFTER_MS = 30000, SILENT_AFTER_MS = 10000, OPEN_WITHIN_MS = 5000;
  const heard = () => { state.heardAt = now(); };
  function lost() {
    show("offline");
    state.lostAt = state.lostAt || now();
    const wait = now() - state.lostAt > PATIENT_AFTER_MS ? 3000 : Math.min(1000, 200 * 2 ** state.tries++);
    state.retry = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  }
  /* A socket may be open to a process that is stopped, or through a network that has gone: no close will ever come. */
  function abandon() {
    const socket = state.socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    lost();
  }
  const isSilent = () => state.socket.readyState === 1 && now() - state.heardAt > SILENT_AFTER_MS;
  const isStuck = () => state.socket.readyState === 0 && now() - state.triedAt > OPEN_WITHIN_MS;
  function check() { if (state.socket && (isSilent() || isStuck())) abandon(); }
  setInterval(check, 1000);
  function hurry() {
    if (document.hidden || !state.socket) return;
    check();
    if (state.socket.readyState > 1) connect();
  }
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);

  function show(text) {
    document.body.dataset.connection = text;
    const element = document.getElementById("connection-text");
    if (element) element.textContent = text;
  }
  window.tidegate.showConnection = () => show(state.socket && state.socket.readyState === 1 ? "live" : "offline");

  function send(message) {
    if (state.socket && state.socket.readyState === 1) state.socket.send(JSON.stringify(message));
  }

  function ping() { send({ type: "ping", at_ms: now() }); }
  setInterval(ping, 5000);

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
  function subscribe() {
    const page = document.querySelector("[data-topics]");
    const nav = document.querySelector("[data-topics-too]"), named = `${page ? page.dataset.topics : ""} ${nav ? nav.dataset.topicsToo : ""}`;
    const topics = [...new Set(named.split(" "))].filter((topic) => topic && !isAway(topic));
    if (topics.join(" ") === state.topics || !state.socket || state.socket.readyState !== 1) return;
    state.topics = topics.join(" ");
    send({ type: "subscribe", topics });
  }
  function watchCards() {
    watcher.disconnect();
    for (const card of document.querySelectorAll("[data-rollup]")) watcher.observe(card);
  }
  window.tidegate.pageChanged = () => { watchCards(); subscribe(); for (const topic of window.tidegate.latest.keys()) mark(topic); };

  function receive(message) {
    if (message.type === "pong") return keepTime(message);
    if (message.type === "refused") return console.warn("hub refused:", message.reason);
    if (message.type !== "update") return undefined;
    const held = window.tidegate.latest.get(message.topic);
    const data = message.topic.startsWith("live/") ? merge(held && held.data, message.data) : message.data;
    window.tidegate.latest.set(message.topic, { ...message, data });
    window.tidegate.receivedAt.set(message.topic, now());
    return mark(message.topic);
  }

  /* The answer's time is taken for the middle of the fastest round trip seen: its error is at most half of that. */
  function keepTime(pong) {
    const here = now(), roundTrip = here - pong.ping_at_ms;
    if (roundTrip > state.bestRoundTrip * 1.5) return;
    state.bestRoundTrip = Math.min(state.bestRoundTrip, roundTrip);
    state.clockOffset = pong.at_ms - (pong.ping_at_ms + roundTrip / 2);
  }

  /* A partial frame replaces the buckets it names; what falls out of the span is dropped. */
  function merge(held, frame) {
    if (frame.reason) return held ? { ...held, reason: frame.reason } : frame;
    if (frame.full || !held || !held.buckets.length || !frame.buckets.length) return frame;
    const step = frame.bucket_s, end = frame.buckets[frame.buckets.length - 1];
    const start = end - frame.span_s + step, size = Math.round((end - start) / step) + 1;
    const buckets = Array.from({ length: size }, (_, index) => start + index * step);
    const keys = new Map();
    for (const series of [...held.series, ...frame.series]) keys.set(series.key.join("\u0000"), series.key);
    const ring = (source, key, measure, from) => {
      const found = source.series.find((series) => series.key.join("\u0000") === key);
      const values = found ? found.measures[measure] : [];
      return (bucket) => values[Math.round((bucket - from) / step)];
    };
    const measures = Object.keys(frame.totals);
    const series = Array.from(keys, ([id, key]) => {
      const lines = {};
      for (const measure of measures) {
        const fresh = ring(frame, id, measure, frame.buckets[0]), old = ring(held, id, measure, held.buckets[0]);
        lines[measure] = buckets.map((bucket) => {
          const value = bucket >= frame.buckets[0] ? fresh(bucket) : old(bucket);
          return value === undefined ? null : value;
        });
      }
      return { key, measures: lines };
    });
    return { ...frame, buckets, series, reason: null };
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
    send({ type: "painted", topic: update.topic, seq: update.seq, at_ms: at });
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
    window.tidegate.showConnection();
  }).observe(document.documentElement, { childList: true, subtree: true });
  const start = () => (document.getElementById("console") ? connect() : setTimeout(start, 30));
  start();
})();
