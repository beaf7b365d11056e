/* The lag page: one sentence a consumer in trouble, then a row a consumer. A row stays the same element while its numbers change, so that
   it can be clicked, hovered over and read aloud. */
(function () {
  "use strict";
  const WINDOW_MS = 15 * 60000, CALM_S = 30, LINES_ASKED = 20, LINES_AGAIN_MS = 300000, DAY_S = 86400;
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const lasting = (value) => window.tidegate.moments.lasting(value);
  const words = { ok: "keeps up", unknown: "unknown", warn: "falls behind", rewind: "went back", stall: "stalled", stop: "stopped" };
  const sources = {
    caught_up: "nothing is left to take",
    record: "by the timestamp of the oldest record that was not taken, read from the topic",
    between: "between two records whose timestamps are known",
  };
  const keyOf = ({ consumer, topic }) => `${consumer} ${topic}`;
  const verdictOf = ({ lag, is_stale: isStale }) => (isStale ? "unknown" : lag.verdict);
  const isTroubled = (state) => ["warn", "rewind", "stall", "stop"].includes(verdictOf(state));
  const isWell = ({ verdict }) => verdict === "ok" || verdict === "unknown";
  const isAtRisk = (each) => each.retention_s !== null && (each.catch_up_s === null ? !isWell(each) : each.retention_s < each.catch_up_s);
  const events = (value) => (value === null ? null : `${window.tidegate.show.number(value)} event${value === 1 ? "" : "s"}`);
  const rate = (value) => (value === null ? "?" : window.tidegate.show.number(Math.round(value * 10) / 10));

  function ratesOf({ arriving_per_s: arriving, taken_per_s: taken }) {
    const made = make("span");
    window.tidegate.show.put(made, arriving === null && taken === null ? null : `${rate(arriving)} \u2192 ${rate(taken)}`, "not measured over a window yet");
    return made;
  }

  /* Which one is open is in the address. */
  function selected() {
    const [, page, consumer] = location.pathname.split("/");
    const query = new URLSearchParams(location.search), named = consumer ? decodeURIComponent(consumer) : query.get("consumer");
    return page === "lag" && named ? { consumer: named, topic: query.get("topic") } : null;
  }
  const isOpen = ({ consumer, topic }, here = selected()) => here !== null && here.consumer === consumer && (here.topic === null || here.topic === topic);
  function addressOf(lag) {
    const query = new URLSearchParams(location.search);
    for (const each of ["topic", "consumer"]) query.delete(each);
    const held = window.tidegate.latest.get("lag");
    if (held && held.data.consumers.filter((each) => each.lag.consumer === lag.consumer).length > 1) query.set("topic", lag.topic);
    return `/lag/${encodeURIComponent(lag.consumer)}${query.size ? `?${query}` : ""}`;
  }
  function closed() {
    const query = new URLSearchParams(location.search);
    for (const each of ["topic", "consumer"]) query.delete(each);
    return `/lag${query.size ? `?${query}` : ""}`;
  }
  function open(href) {
    window.tidegate.address.push(href);
    again();
    const panel = document.getElementById("lag-open");
    if (panel && !panel.hidden && panel.getBoundingClientRect().top > window.innerHeight - 160) panel.scrollIntoView({ block: "center", behavior: "smooth" });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-lag-to]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open(link.getAttribute("href"));
  });
  window.addEventListener("popstate", () => again());
  window.addEventListener("_dashprivate_pushstate", () => again());
  const again = () => { const held = window.tidegate.latest.get("lag"); if (held) lag(held.data); };

  function lag(frame) {
    const said = document.getElementById("lag-said");
    if (!said) return false;
    remember(frame);
    sentences(said, frame);
    for (const kind of ["query", "group"]) rows(kind, frame.consumers.filter(({ lag: each }) => each.consumer_kind === kind), frame.reason);
    window.tidegate.lag.opened(frame);
    return true;
  }

  /* What this page has seen itself: the line in a row, and the chart while ClickHouse does not answer. */
  const seen = new Map();
  function remember(frame) {
    const at = Date.parse(frame.at);
    for (const state of frame.consumers) {
      const key = keyOf(state.lag), points = seen.get(key) || [], value = state.is_stale ? null : state.lag.lag_s;
      if (!points.length || points.at(-1)[0] < at) points.push([at, value, verdictOf(state), state.lag.taken_per_s, state.lag.arriving_per_s]);
      while (points.length && points[0][0] < at - WINDOW_MS) points.shift();
      seen.set(key, points);
    }
  }
  /* Before the page was opened it is what ClickHouse has; asked of the first ones, and seldom: there may be hundreds of groups. */
  function line(each, isAsked) {
    const query = new URLSearchParams({ consumer: each.consumer, topic: each.topic, minutes: 15 }), own = seen.get(keyOf(each)) || [];
    const { said } = isAsked ? window.tidegate.inquire.past(`lag/history?${query}`, () => {}, LINES_AGAIN_MS) : { said: null };
    const first = own.length ? own[0][0] : Infinity;
    const before = Array.isArray(said) ? said.map((point) => [Date.parse(point.at), point.lag_s]).filter(([at]) => at < first) : [];
    return [...before, ...own];
  }

  function sentences(box, frame) {
    const told = [];
    const troubled = frame.consumers.filter(isTroubled);
    for (const state of troubled) told.push({ key: keyOf(state.lag), state: state.lag.verdict, lag: state.lag, parts: trouble(state) });
    if (frame.reason) told.push({ key: "none", state: "unknown", parts: [`Nothing is known of lag now: ${frame.reason}.`] });
    else told.push(...unknowns(frame.consumers));
    for (const state of frame.consumers) if (verdictOf(state) === "ok" && state.lag.lag_s > CALM_S) told.push({ key: keyOf(state.lag), state: "ok", lag: state.lag, parts: calm(state.lag) });
    if (!troubled.length && !frame.reason) told.unshift(allWell(frame.consumers));
    const held = new Map(Array.from(box.children, (each) => [each.dataset.key, each]));
    const lines = told.map((each) => held.get(each.key) || lineOf(each));
    if (lines.length !== box.children.length || lines.some((each, index) => each !== box.children[index])) box.replaceChildren(...lines);
    told.forEach((each, index) => write(lines[index], each));
  }
  function lineOf({ key, lag: about }) {
    const made = make("p"), subject = made.appendChild(make(about ? "a" : "strong"));
    made.dataset.key = key;
    if (about) subject.dataset.lagTo = about.consumer;
    made.appendChild(make("span")).setAttribute("aria-live", "off");
    return made;
  }
  function write(element, { state, lag: about, parts }) {
    element.dataset.state = state;
    const [subject, text] = element.children;
    if (about) {
      subject.href = addressOf(about);
      if (subject.textContent !== about.consumer) subject.textContent = about.consumer;
    }
    redraw(text, JSON.stringify(parts), () => parts.map((part) => (typeof part === "string" ? make("span", "", part) : make(...part))));
  }
  function trouble({ lag: each, explained }) {
    const { clock } = window.tidegate.show, first = explained && explained.suspects[0];
    const since = each.since ? `, since ${clock(each.since, 16)}` : "";
    const parts = [` ${howFar(each)}${since}, ${onwards(each)}. `];
    if (first) parts.push(["b", "", `Likeliest ${causes(first.cause)}: `], `${first.evidence.replace(/\.$/, "")}. `);
    parts.push(["b", "", whenDone(each)]);
    if (isAtRisk(each) && each.retention_s < DAY_S) parts.push(["b", "is-bad", ` Records may be deleted unread in ${lasting(each.retention_s)}.`]);
    return parts;
  }
  /* A warning is of a trend, or of records that are or may be deleted unread: then its own reason says it (rule 6). */
  const isLosing = ({ partitions }) => partitions.some(({ verdict, rule }) => verdict === "warn" && rule === 6);
  const onwards = (each) => (each.verdict === "warn" && isLosing(each) ? each.reason : goesOn[each.verdict]);
  const goesOn = { warn: "and falls further behind", stall: "and takes nothing although there is something to take", stop: "and says nothing any more", rewind: "and has gone back: records are taken again" };
  function howFar(each) {
    if (each.lag_s !== null) return `is ${lasting(each.lag_s)} behind${margin(each)}`;
    return each.lag_events === null ? "is behind, how far is not known" : `is ${events(each.lag_events)} behind, in seconds it is not known`;
  }
  const margin = ({ error_s: error }) => (error ? ` (\u00b1\u00a0${lasting(Math.max(error, 0.1))})` : "");
  function whenDone(each) {
    if (each.catch_up_s !== null) return each.catch_up_s === 0 ? "Nothing is left to take." : `It will have caught up in about ${lasting(each.catch_up_s)}.`;
    if (each.taken_per_s === 0) return "It takes nothing: it will not catch up by itself.";
    if (each.taken_per_s !== null && each.arriving_per_s !== null && each.taken_per_s <= each.arriving_per_s) return "At this rate it never catches up.";
    return "When it will have caught up is not known.";
  }
  const calm = (each) => [` ${howFar(each)} and takes more than arrives. ${whenDone(each)}`];
  function unknowns(consumers) {
    const byReason = new Map();
    for (const state of consumers.filter((each) => verdictOf(each) === "unknown")) {
      const reason = state.is_stale ? "not confirmed lately" : state.lag.reason || "no reason was given";
      byReason.set(reason, [...(byReason.get(reason) || []), state.lag.consumer]);
    }
    if (!byReason.size) return [];
    const said = Array.from(byReason, ([reason, names]) => `${names.join(", ")} (${reason})`).join("; ");
    return [{ key: "unknown", state: "unknown", parts: [`Not known: ${said}.`] }];
  }
  function allWell(consumers) {
    const known = consumers.filter((state) => verdictOf(state) === "ok"), isAll = known.length === consumers.length;
    if (!known.length) return { key: "well", state: "unknown", parts: ["Nobody\u2019s lag is known."] };
    const behind = known.filter(({ lag: each }) => each.lag_s > 0).sort((one, other) => other.lag.lag_s - one.lag.lag_s)[0];
    const most = behind ? ` The furthest behind is ${behind.lag.consumer}: ${lasting(behind.lag.lag_s)}${margin(behind.lag)}.` : "";
    return { key: "well", state: "ok", parts: [["b", "", isAll ? "Everybody keeps up." : "Everybody of whom it is known keeps up."], most] };
  }
  const causes = (cause) => cause.replaceAll("_", " ");

  function rows(kind, consumers, reason) {
    const table = document.querySelector(`[data-lag-rows="${kind}"]`);
    if (!table) return;
    const body = table.tBodies[0];
    if (!consumers.length) {
      const nobody = kind === "group" ? "No other consumer group has committed offsets." : "No query has been measured.";
      redraw(body, `none ${reason}`, () => [emptyRow(reason ? `unknown: ${reason}` : nobody, reason ? "is-unknown" : "quiet")]);
      return;
    }
    const held = new Map(Array.from(body.rows, (row) => [row.dataset.lagRow, row])), here = selected();
    const shown = consumers.map(({ lag: each }) => held.get(keyOf(each)) || rowOf(each));
    if (shown.length !== body.rows.length || shown.some((row, index) => row !== body.rows[index])) redraw(body, JSON.stringify(shown.map((row) => row.dataset.lagRow)), () => shown);
    consumers.forEach((state, index) => fill(shown[index], state, isOpen(state.lag, here), index < LINES_ASKED));
  }
  function emptyRow(text, className) {
    const row = make("tr"), cell = row.appendChild(make("td", className, text));
    cell.colSpan = 7;
    return row;
  }
  function rowOf(each) {
    const row = make("tr");
    row.dataset.lagRow = keyOf(each);
    for (let count = 0; count < 7; count += 1) row.append(make("td"));
    return row;
  }
  function fill(row, state, isHere, isAsked) {
    const { lag: each } = state, verdict = verdictOf(state), [name, judged, behind, rates, until, left, past] = row.cells;
    row.classList.toggle("is-old", state.is_stale);
    row.classList.toggle("is-here", isHere);
    row.dataset.state = verdict;
    const href = isHere ? closed() : addressOf(each);
    redraw(name, JSON.stringify([href, isHere, each.topic, each.shadow, each.hot_partition, each.is_idle]), () => nameOf(each, href, isHere));
    redraw(judged, JSON.stringify([verdict, each.since, each.reason, state.is_stale && each.at]), () => badgeOf(state));
    redraw(behind, JSON.stringify([each.lag_s, each.error_s, each.lag_events]), () => behindOf(each));
    redraw(rates, JSON.stringify([each.arriving_per_s, each.taken_per_s]), () => [ratesOf(each)]);
    redraw(until, JSON.stringify([each.verdict, each.catch_up_s, each.taken_per_s, each.arriving_per_s, each.is_idle]), () => [untilOf(each)]);
    redraw(left, JSON.stringify([each.retention_s, isAtRisk(each)]), () => [leftOf(each)]);
    const points = line(each, isAsked), now = window.tidegate.hubNow();
    redraw(past, `${points.length} ${points.at(-1)}`, () => [sparkline(points, now)]);
  }
  function nameOf(each, href, isHere) {
    const link = make("a", "lag-name", each.consumer), under = make("div", "lag-under");
    Object.assign(link, { href, title: isHere ? "Close" : "Open: partitions, why, how it was" });
    link.dataset.lagTo = each.consumer;
    under.append(make("code", "", each.topic));
    if (each.is_idle && each.verdict !== "ok") under.append(chip("idle", "Nothing has been produced for a while and nothing is left to take"));
    if (each.hot_partition !== null) under.append(chip(`hot: partition ${each.hot_partition}`, "It has much more of the lag than its share"));
    if (each.shadow) under.append(chip(each.shadow, "Shadow consumer group: any Kafka tool reads this query\u2019s place there"));
    return [link, under];
  }
  function chip(text, title) {
    const made = make("span", "chip", text);
    made.title = title;
    return made;
  }
  function badgeOf(state) {
    const { lag: each, is_stale: isStale } = state, verdict = verdictOf(state), { moment } = window.tidegate.moments;
    const badge = make("span", "badge", each.is_idle && verdict === "ok" ? "idle" : words[verdict]), under = make("div", "quiet");
    badge.dataset.state = verdict;
    badge.title = isStale ? "nobody has confirmed it for 10 s" : each.reason || "";
    if (isStale) under.append(`${words[each.verdict]}, `, moment("", each.at));
    else if (each.since) under.append(moment("for ", each.since, "for"));
    return [badge, under];
  }
  function behindOf(each) {
    const told = make("div", "number"), under = make("div", "quiet"), worst = worstOf(each);
    window.tidegate.show.put(told, each.lag_s === null ? null : `${lasting(each.lag_s)}${each.error_s ? ` \u00b1\u00a0${lasting(Math.max(each.error_s, 0.1))}` : ""}`, each.lag_s === null ? each.reason || "how old the oldest record is that was not taken" : worst ? sources[worst.source] || "" : "");
    under.append(events(each.lag_events) || "");
    if (each.lag_events === null && each.lag_s !== null) {
      under.textContent = "events unknown";
      under.classList.add("is-unknown");
    }
    return [told, under];
  }
  const worstOf = ({ partitions }) => partitions.reduce((worst, each) => (each.lag_s !== null && (worst === null || each.lag_s > worst.lag_s) ? each : worst), null);
  function untilOf(each) {
    const said = make("span");
    const isNever = !isWell(each) && each.catch_up_s === null && each.taken_per_s !== null && each.arriving_per_s !== null && each.lag_events > 0;
    if (isNever) return Object.assign(make("span", "is-bad", "never"), { title: "at this rate" });
    window.tidegate.show.put(said, each.catch_up_s === 0 ? "\u2013" : lasting(each.catch_up_s), each.catch_up_s === 0 ? "nothing is left to take" : isWell(each) ? "not to be said at these rates" : each.reason || "its rates are not known yet");
    return said;
  }
  function leftOf(each) {
    if (each.retention_s === null) return Object.assign(make("span", "quiet", "\u2013"), { title: "not known, or nothing is ever deleted" });
    const isRisk = isAtRisk(each), said = make("span", isRisk ? "is-bad" : "", lasting(each.retention_s));
    said.title = isRisk ? "that is before it will have caught up" : "it will have caught up before";
    return said;
  }
  function sparkline(points, now) {
    const known = points.map(([, value]) => value).filter((value) => value !== null);
    const said = known.length ? `${lasting(Math.min(...known))} to ${lasting(Math.max(...known))} behind in the last 15 min` : "nothing is known of the last 15 min";
    return window.tidegate.timechart.sparkline(points, now - WINDOW_MS, now, said);
  }

  window.tidegate.lag = { selected, closed, isOpen, keyOf, verdictOf, words, sources, ratesOf, events, untilOf, leftOf, causes, seen, again, opened: () => {} };
  window.tidegate.painters.push((update) => (update.topic === "lag" ? lag(update.data) : false));
})();
