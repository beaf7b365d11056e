/* How does a page watch the hub? An ES module without dependencies; the protocol is in ARCHITECTURE.md, "Push protocol".

     const watching = watch({ url: "ws://127.0.0.1:8090/api/v1/push", topics: ["overview"],
                              onUpdate: (topic, data, meta) => draw(topic, data), onState: (state) => say(state) });

   After a lost connection it goes on by itself, and says which update of each topic it had last: the hub answers with what was missed,
   or with a full frame. What was lost on the way, a gap in `seq`, is asked for. Nothing is made newer than it is: an update's time is
   the hub's (`meta.sentAtMs`, and what is in its data), however late it comes. */

const PROTOCOL = "tidegate.push.v1", BEARER = "tidegate.bearer.";
const SIGNED_OUT = 1008, OLD_VERSION = 4001, TOO_MANY = 4003;
const SILENT_AFTER_MS = 10000, OPEN_WITHIN_MS = 5000, PING_EVERY_MS = 5000, CHECK_EVERY_MS = 1000;
const WAIT_FIRST_MS = 200, WAIT_LONGEST_MS = 1000, PATIENT_AFTER_MS = 30000, WAIT_PATIENT_MS = 3000;

const now = () => performance.timeOrigin + performance.now();

/* A partial frame replaces the buckets it names; what falls out of the span is dropped. The hub does the same: controlplane/contract/live.py. */
export function merge(held, frame) {
  if (frame.reason) return held ? { ...held, reason: frame.reason } : frame;
  if (frame.full || !held || !held.buckets.length || !frame.buckets.length) return frame;
  const step = frame.bucket_s, first = frame.buckets[0], end = frame.buckets[frame.buckets.length - 1];
  const start = end - frame.span_s + step, size = Math.round((end - start) / step) + 1;
  const buckets = Array.from({ length: size }, (_, index) => start + index * step);
  const nameOf = (series) => series.key.join("\u0000");
  const olds = new Map(held.series.map((series) => [nameOf(series), series]));
  const news = new Map(frame.series.map((series) => [nameOf(series), series]));
  const at = (series, measure, bucket, from) => {
    const value = series && series.measures[measure] && series.measures[measure][Math.round((bucket - from) / step)];
    return value === undefined ? null : value;
  };
  const series = Array.from(new Set([...olds.keys(), ...news.keys()]), (name) => {
    const old = olds.get(name), fresh = news.get(name), measures = {};
    for (const measure of Object.keys(frame.totals)) {
      measures[measure] = buckets.map((bucket) => (bucket >= first ? at(fresh, measure, bucket, first) : at(old, measure, bucket, held.buckets[0])));
    }
    return { key: (fresh || old).key, measures };
  });
  return { ...frame, buckets, series, reason: null };
}

/* What is known of a topic: the newest data, and which update it is of. */
class Held {
  constructor() {
    this.seq = null;
    this.data = null;
    this.isBroken = false;
  }

  /* Take an update in; false when it can't be: something before it is missing. */
  take({ topic, seq, data }) {
    const isLive = topic.startsWith("live/"), isWhole = !isLive || data.full || Boolean(data.reason);
    if (!isWhole && (this.seq === null || seq > this.seq + 1)) return false;
    this.data = isLive ? merge(this.data, data) : data;
    this.seq = seq;
    this.isBroken = false;
    return true;
  }
}

/* `state` is { connection: "connecting" | "live" | "resuming" | "offline" | "refused", since, reason }: `since` is when what is shown
   was last known to be up to date where it is no more (epoch ms, this clock), else since when it is so. `resuming`: connected again,
   and of some topics there is only what was told before. `meta` is { seq, sentAtMs, receivedAtMs, full }: the hub's clock, then this one's. */
export function watch({ url, token, topics = [], onUpdate = () => {}, onState = () => {} }) {
  const held = new Map();
  let socket = null, wanted = [...new Set(topics)], epoch = null, asksPainted = true, awaited = new Set();
  let hasBeenLive = false, isClosed = false, tries = 0, retry = 0, triedAt = 0, heardAt = 0, lostAt = null;
  let offset = 0, bestRoundTrip = Infinity;
  let state = { connection: "connecting", since: now(), reason: null };

  function say(connection, since, reason = null) {
    if (connection === state.connection && reason === state.reason) return;
    state = { connection, since, reason };
    onState(state);
  }
  const isOpen = () => socket !== null && socket.readyState === 1;
  function send(message) {
    if (isOpen()) socket.send(JSON.stringify(message));
  }

  function connect() {
    if (isClosed) return;
    clearTimeout(retry);
    const mine = new WebSocket(url, token ? [PROTOCOL, BEARER + token] : [PROTOCOL]);
    let wasOpen = false;
    socket = mine;
    triedAt = now();
    mine.onopen = () => {
      wasOpen = true;
      heardAt = now();
      ping();
    };
    mine.onmessage = (event) => {
      heardAt = now();
      receive(JSON.parse(event.data));
    };
    mine.onclose = ({ code, reason }) => lost(code, reason, wasOpen);
  }

  /* Whoever is on call looks at the page and waits: try often, a little less so when it takes long. */
  function lost(code, reason, wasOpen) {
    detach();
    if (isClosed) return;
    lostAt = lostAt || heardAt || now();
    if ([SIGNED_OUT, OLD_VERSION, TOO_MANY].includes(code)) say("refused", lostAt, reason || "the hub has refused the connection");
    else if (state.connection !== "refused") say(hasBeenLive ? "offline" : "connecting", hasBeenLive ? lostAt : state.since, reason || "the hub does not answer");
    if (!wasOpen) askWhy();
    const isLong = state.connection === "refused" || now() - lostAt > PATIENT_AFTER_MS;
    const wait = isLong ? WAIT_PATIENT_MS : Math.min(WAIT_LONGEST_MS, WAIT_FIRST_MS * 2 ** tries++);
    clearTimeout(retry);
    retry = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  }
  function detach() {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    socket = null;
  }
  /* A socket that is refused before it is open says no reason to a script: a request does. */
  async function askWhy() {
    const address = new URL("session", url);
    address.protocol = address.protocol.replace("ws", "http");
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    try {
      const answer = await fetch(address, { credentials: "include", headers, signal: AbortSignal.timeout(OPEN_WITHIN_MS) });
      if (isClosed || isOpen()) return;
      if (answer.status === 401 || answer.status === 403) say("refused", lostAt || now(), "nobody is signed in: sign in first");
      else if (state.connection === "refused") say("offline", lostAt || now(), "the hub does not answer");
    } catch {
      /* It does not answer at all: that is being offline, which is said already. */
    }
  }
  /* A socket may be open to a process that is stopped, or through a network that has gone: no close will ever come. */
  function check() {
    if (!socket) return;
    const isSilent = socket.readyState === 1 && now() - heardAt > SILENT_AFTER_MS;
    const isStuck = socket.readyState === 0 && now() - triedAt > OPEN_WITHIN_MS;
    if (isSilent || isStuck) lost(0, isSilent ? "the hub is silent" : "the hub does not answer", false);
  }
  function hurry() {
    if (document.hidden || isClosed) return;
    check();
    if (!socket) connect();
  }

  function subscribe() {
    if (!isOpen()) return;
    const known = wanted.filter((topic) => held.has(topic) && held.get(topic).seq !== null);
    const since = Object.fromEntries(known.map((topic) => [topic, held.get(topic).seq]));
    send(epoch && known.length ? { type: "subscribe", topics: wanted, epoch, since } : { type: "subscribe", topics: wanted });
  }

  function receive(message) {
    if (message.type === "welcome") return welcome(message);
    if (message.type === "pong") return keepTime(message);
    if (message.type === "resumed") return resumed(message);
    if (message.type === "refused") return console.warn("the hub refused:", message.reason);
    return message.type === "update" ? update(message) : undefined;
  }

  /* Another epoch is another process of the hub, which counts anew. */
  function welcome(message) {
    if (message.epoch !== epoch) for (const each of held.values()) each.seq = null;
    epoch = message.epoch || null;
    asksPainted = message.asks_painted !== false;
    awaited = new Set(wanted.filter((topic) => held.has(topic)));
    if (hasBeenLive) say("resuming", lostAt || now());
    else isLive();
    subscribe();
    settle();
  }
  function resumed({ topics: answers }) {
    for (const [topic, answer] of Object.entries(answers)) if (answer === "current") awaited.delete(topic);
    settle();
  }
  function settle() {
    for (const topic of awaited) if (!wanted.includes(topic)) awaited.delete(topic);
    if (state.connection === "resuming" && !awaited.size) isLive();
  }
  function isLive() {
    hasBeenLive = true;
    tries = 0;
    lostAt = null;
    say("live", now());
  }

  function update(message) {
    const topic = message.topic;
    if (!held.has(topic)) held.set(topic, new Held());
    const known = held.get(topic);
    if (!known.take(message)) {
      /* Asked for once; a hub from before epochs does not know that, and sends a full one every few seconds. */
      if (!known.isBroken && epoch) send({ type: "refresh", topic });
      known.isBroken = true;
      return;
    }
    awaited.delete(topic);
    const full = message.data.full !== false;
    onUpdate(topic, known.data, { seq: message.seq, sentAtMs: message.sent_at_ms, receivedAtMs: now(), full });
    settle();
  }

  /* The answer's time is taken for the middle of the fastest round trip seen: its error is at most half of that. */
  function keepTime(pong) {
    const here = now(), roundTrip = here - pong.ping_at_ms;
    if (roundTrip > bestRoundTrip * 1.5) return;
    bestRoundTrip = Math.min(bestRoundTrip, roundTrip);
    offset = pong.at_ms - (pong.ping_at_ms + roundTrip / 2);
  }
  const hubNow = () => now() + offset;
  const ping = () => send({ type: "ping", at_ms: now() });

  const timers = [setInterval(ping, PING_EVERY_MS), setInterval(check, CHECK_EVERY_MS)];
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  onState(state);
  connect();
  return {
    setTopics(next) {
      const topicsNow = [...new Set(next)];
      if (topicsNow.join(" ") === wanted.join(" ")) return;
      for (const topic of wanted) if (!topicsNow.includes(topic)) held.delete(topic);
      wanted = topicsNow;
      subscribe();
      settle();
    },
    painted: (topic, seq) => { if (asksPainted) send({ type: "painted", topic, seq, at_ms: hubNow() }); },
    hubNow,
    close() {
      isClosed = true;
      clearTimeout(retry);
      timers.forEach(clearInterval);
      window.removeEventListener("online", hurry);
      document.removeEventListener("visibilitychange", hurry);
      detach();
    },
  };
}
