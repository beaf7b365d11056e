/* The lag page's open consumer: what its verdict rests on, why it is slow, how it was, and every partition. */
(function () {
  "use strict";
  const PIECES = 120, WORST_LAST = ["ok", "unknown", "warn", "rewind", "stall", "stop"];
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what) => document.querySelector(`[data-lag-open="${what}"]`);
  const lasting = (value) => window.tidegate.moments.lasting(value);
  const page = () => window.tidegate.lag;
  const quoted = (text) => (/^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  function opened(frame) {
    const panel = document.getElementById("lag-open"), here = page().selected();
    if (!panel) return;
    panel.hidden = here === null;
    if (here === null) return;
    const state = frame.consumers.find(({ lag }) => page().isOpen(lag, here));
    panel.classList.toggle("is-empty", !state);
    if (!state) return nobody(here, frame);
    panel.classList.toggle("is-old", state.is_stale);
    head(state);
    reason(state);
    why(state);
    partitions(state);
    history(state.lag);
  }

  function nobody(here, { reason: silence }) {
    redraw(find("head"), here.consumer, () => [make("h2", "", here.consumer), closing()]);
    const text = `${silence ? `Not known: ${silence}.` : "There is no such consumer now."}`;
    redraw(find("reason"), text, () => [make("span", "is-unknown", text)]);
  }
  function closing() {
    const link = make("a", "more quiet", "Close");
    link.href = page().closed();
    link.dataset.lagTo = "";
    return link;
  }
  function head({ lag, is_stale: isStale }) {
    const verdict = isStale ? "unknown" : lag.verdict;
    redraw(find("head"), JSON.stringify([lag.consumer, lag.topic, verdict, location.search]), () => {
      const badge = make("span", "badge", page().words[verdict]), side = make("div", "verdict");
      badge.dataset.state = verdict;
      side.append(window.tidegate.make.copyButton(`tidegate lag show ${quoted(lag.consumer)}`));
      if (lag.consumer_kind === "query") side.append(sparkLink(lag));
      side.append(closing());
      return [make("h2", "", lag.consumer), make("code", "quiet", lag.topic), badge, side];
    });
  }
  function sparkLink({ consumer }) {
    if (consumer.startsWith("live ")) return "";
    const link = make("a", "more quiet", "Spark");
    link.href = `/spark/${encodeURIComponent(consumer)}`;
    return link;
  }
  function reason({ lag, is_stale: isStale }) {
    const worst = lag.partitions.find((each) => each.verdict === lag.verdict && each.rule !== null);
    const rule = worst ? ` (rule ${worst.rule}, partition ${worst.partition})` : "";
    const since = lag.since ? `Since ${window.tidegate.show.clock(lag.since)}: ` : "";
    const said = isStale ? `Not confirmed for more than 10 s. Last: ${lag.reason || page().words[lag.verdict]}` : `${since}${lag.reason || page().words[lag.verdict]}${rule}`;
    redraw(find("reason"), said, () => [make("span", isStale || lag.verdict === "unknown" ? "is-unknown" : "", said)]);
  }

  function why({ lag, explained }) {
    redraw(find("why"), JSON.stringify([lag.consumer, lag.consumer_kind, explained]), () => {
      if (lag.consumer_kind === "group") return [make("p", "quiet", "Only Tidegate\u2019s own queries are looked into: of a consumer group nothing is known but its offsets.")];
      if (!explained) return [make("p", "is-unknown", "Unknown: nobody has looked for causes lately.")];
      const made = explained.suspects.map(suspectOf);
      if (explained.reason) made.push(make("p", "is-unknown", `Unknown in part: ${explained.reason}`));
      else if (!made.length) made.push(make("p", "quiet", explained.is_slow ? "It is slow, and no known cause has anything that speaks for it." : "It is not slow, and nothing speaks for any cause."));
      const asked = make("div", "lag-asked");
      asked.append(window.tidegate.make.copyButton(`tidegate lag why ${quoted(lag.consumer)}`));
      return [...made, asked];
    });
  }
  function suspectOf({ cause, share, evidence, advice, page: href }) {
    const made = make("div", "suspect"), bar = make("div", "share"), text = make("div"), told = make("div");
    const filled = bar.appendChild(make("i"));
    filled.style.width = `${Math.round(100 * Math.min(1, share))}%`;
    bar.append(make("span", "", `${Math.round(100 * share)} %`));
    bar.title = "Share of the time or of the lag that it explains";
    told.append(make("strong", "", page().causes(cause)), ` ${evidence}`);
    const line = make("div", "quiet");
    line.append(...window.tidegate.make.prose(advice), " ");
    if (href && href.startsWith("/")) {
      const link = line.appendChild(make("a", "more", "Show"));
      link.href = href;
    }
    text.append(told, line);
    made.dataset.cause = cause;
    made.append(bar, text);
    return made;
  }

  function partitions({ lag }) {
    const body = find("partitions").tBodies[0];
    redraw(body, JSON.stringify(lag.partitions), () => (lag.partitions.length ? lag.partitions.map((each) => rowOf(each, lag)) : [none(lag)]));
  }
  function none({ reason: said }) {
    const row = make("tr"), cell = row.appendChild(make("td", "is-unknown", `unknown: ${said || "no partition was measured"}`));
    cell.colSpan = 10;
    return row;
  }
  function rowOf(each, lag) {
    const { put, exact } = window.tidegate.show, row = make("tr");
    const cells = Array.from({ length: 10 }, () => row.appendChild(make("td")));
    const badge = make("span", "badge", each.is_idle && each.verdict === "ok" ? "idle" : page().words[each.verdict]);
    badge.dataset.state = each.verdict;
    cells[0].append(String(each.partition), each.partition === lag.hot_partition ? " hot" : "");
    cells[1].append(badge, make("span", "quiet", each.rule === null ? "" : ` rule ${each.rule}`));
    cells[1].title = each.reason || "";
    const behind = each.lag_s === null ? null : `${lasting(each.lag_s)}${each.error_s ? ` \u00b1\u00a0${lasting(Math.max(each.error_s, 0.1))}` : ""}`;
    put(cells[2], behind, each.lag_s === null ? each.reason : page().sources[each.source]);
    put(cells[3], exact(each.lag_events), each.lag_events === null ? each.reason : "");
    put(cells[4], exact(each.position), each.position === null ? each.reason : "");
    put(cells[5], exact(each.end), each.end === null ? each.reason : "");
    cells[6].append(page().ratesOf(each));
    cells[7].append(page().untilOf(each));
    cells[8].append(page().leftOf(each));
    if (each.moved_at) cells[9].append(window.tidegate.moments.moment("", each.moved_at));
    else put(cells[9], null, "it was not seen to move since the monitor started");
    row.dataset.partition = each.partition;
    return row;
  }

  /* Of ClickHouse; while it does not answer, what this page has seen itself. */
  function history(lag) {
    const query = new URLSearchParams({ consumer: lag.consumer, topic: lag.topic, ...window.tidegate.range.within() });
    const { said, reason: why_, askedAt } = window.tidegate.inquire.past(`lag/history?${query}`, page().again);
    const own = (page().seen.get(page().keyOf(lag)) || []).map(([at, lag_s, verdict, taken_per_s, arriving_per_s]) => ({ at: new Date(at).toISOString(), lag_s, verdict, taken_per_s, arriving_per_s }));
    const old = Array.isArray(said) ? said : [], last = old.length ? Date.parse(old.at(-1).at) : -Infinity;
    const points = [...old, ...own.filter(({ at }) => Date.parse(at) > last)];
    const words = why_ ? `what was before this page was opened is unknown: ${why_}` : askedAt === -Infinity ? "asking ..." : "";
    const told = find("history");
    told.classList.toggle("is-unknown", Boolean(why_));
    if (told.textContent !== words) told.textContent = words;
    const range = window.tidegate.timechart.range(), { timechart, stamp } = window.tidegate.timechart;
    const x = points.map(({ at }) => stamp(Date.parse(at))), column = (name) => points.map((each) => each[name]);
    const box = (name) => document.querySelector(`[data-lag-chart="${name}"]`);
    timechart(box("behind"), { ...range, unit: " s", traces: [{ name: "behind", x, y: column("lag_s"), colour: 0, unit: " s", fill: true }] });
    timechart(box("rates"), { ...range, traces: [{ name: "arrive", x, y: column("arriving_per_s"), colour: 2, unit: "/s" }, { name: "are taken", x, y: column("taken_per_s"), colour: 0, unit: "/s" }] });
    strip(points, Date.parse(`${range.start}Z`), Date.parse(`${range.end}Z`));
  }
  /* Verdicts below the line, the worst of each piece; a piece of which nothing is known is a gap. */
  function strip(points, start, end) {
    const pieces = Array(PIECES).fill(null);
    for (const { at, verdict } of points) {
      const place = Math.floor((Date.parse(at) - start) / (end - start) * PIECES);
      if (place < 0 || place >= PIECES) continue;
      if (pieces[place] === null || WORST_LAST.indexOf(verdict) > WORST_LAST.indexOf(pieces[place])) pieces[place] = verdict;
    }
    redraw(find("strip"), JSON.stringify([pieces, start]), () => pieces.map((verdict, index) => {
      const made = make("i");
      made.dataset.state = verdict || "gap";
      made.title = `${window.tidegate.show.clock(start + index * (end - start) / PIECES, 16)} ${verdict ? page().words[verdict] : "unknown: nothing was judged"}`;
      return made;
    }));
  }

  Object.assign(window.tidegate.lag, { opened });
  window.addEventListener("tidegate-range", () => page().again());
})();
