/* The overview: every hop, every verdict, every part. */
(function () {
  "use strict";
  const STALE_S = 10, LATE_S = 10;
  const words = (state) => state.replaceAll("_", " ");

  function overview(frame) {
    const { put, all } = window.tidegate.show;
    for (const stream of frame.streams) {
      for (const hop of stream.hops) paintHop(`${stream.name}/${hop.hop}`, hop);
      for (const element of all(`[data-verdict="${stream.name}"]`)) {
        put(element, stream.verdict === "unknown" ? null : words(stream.verdict), stream.verdict_reason);
        element.dataset.state = stream.verdict;
      }
      for (const element of all(`[data-verdict-reason="${stream.name}"]`)) {
        element.classList.remove("is-unknown");
        element.textContent = stream.verdict_reason;
      }
    }
    const pixel = frame.event_to_pixel;
    for (const element of all('[data-latency="event_to_pixel"]')) {
      put(element, pixel ? `p50 ${Math.round(pixel.p50)} · p99 ${Math.round(pixel.p99)} ms` : null, "no live chart has been painted in the last minutes");
    }
    sentence(frame);
    for (const stream of frame.streams) markWorst(stream, frame.problems);
    const parts = document.getElementById("parts");
    if (parts && frame.parts.length) parts.replaceChildren(partsTable(frame.parts));
    return true;
  }

  /* Whether all is well, in one sentence; what is worst leads to its page. */
  function sentence(frame) {
    const box = document.getElementById("overview-said");
    if (!box) return;
    const { state, said, why, page, problems } = window.tidegate.health(), { age, seconds } = window.tidegate.show, { link, redraw } = window.tidegate.make;
    box.classList.toggle("is-unknown", state === "unknown" || state === "lost");
    box.dataset.state = state;
    const newest = Math.min(...frame.streams.map(({ hops }) => age((hops.find(({ hop }) => hop === "raw") || {}).newest_at) ?? Infinity));
    const many = frame.streams.length === 1 ? "1 stream" : `${frame.streams.length} streams`;
    redraw(box, JSON.stringify([state, said, why, problems[0], Math.round(newest)]), () => {
      if (state === "ok") return [`All is well: every event of ${many} is accounted for${newest < Infinity ? `; the newest came ${seconds(Math.round(newest))} ago` : ""}.`];
      if (state === "unknown") return [`${said}: ${why}.`];
      const worst = `${problems[0].subject} ${problems[0].reason}`;
      return [`${said}${problems.length > 1 ? "; the worst: " : ": "}`, page ? link(worst, page) : worst];
    });
  }

  /* Without a connection no frame comes that would say so. */
  window.addEventListener("tidegate-health", () => { const held = window.tidegate.latest.get("overview"); if (held) sentence(held.data); });

  /* Which hop of the picture is the worst? What the first problem that is about one says; else, which is no problem yet, the work that
     is furthest behind. */
  const BY = { route: "valid", lake: "lake", live: "serving" }, OF_GATE = { ingest: "valid", lake: "lake", rollup: "lake", serving: "serving" };
  function hopOf({ subject }, name) {
    const [first, of] = subject.split(" ");
    if (subject.startsWith(`${name}.`)) return ["box", subject.slice(name.length + 1)];
    if (subject.startsWith("part ") && of in BY) return ["pipe", BY[of]];
    if (subject === `${first} ${name}` && first in BY) return ["pipe", BY[first]];
    /* `rollup of shop, sales,` is of its table. */
    if (`${subject},`.startsWith(`${first} of ${name},`) && first in OF_GATE) return ["pipe", OF_GATE[first]];
    return null;
  }
  function worstOf(stream, problems) {
    for (const problem of problems) {
      const found = hopOf(problem, stream.name);
      if (found) return [...found, `${problem.subject} ${problem.reason}`];
    }
    const [last] = stream.hops.filter(({ lag_s }) => lag_s > LATE_S).sort((one, other) => other.lag_s - one.lag_s);
    return last ? ["pipe", last.hop, ""] : null;
  }
  function markWorst(stream, problems) {
    const worst = worstOf(stream, problems);
    for (const element of document.querySelectorAll(`[data-box^="${stream.name}/"], [data-pipe^="${stream.name}/"]`)) {
      const isIt = worst !== null && element.dataset[worst[0]] === `${stream.name}/${worst[1]}`;
      element.classList.toggle("is-worst", isIt);
      element.classList.toggle("is-well", isIt && !worst[2]);
      let note = element.querySelector(".worst-note");
      if (!isIt && note) note.remove();
      if (!isIt) continue;
      if (!note) { note = element.appendChild(document.createElement("span")); note.className = "worst-note"; }
      note.textContent = worst[2] ? "worst" : "furthest behind";
      element.title = note.title = worst[2];
    }
  }

  function paintHop(key, hop) {
    const { put, all, age, exact, number, seconds } = window.tidegate.show;
    const shown = {
      events: exact(hop.events),
      rate: hop.events_per_s === null ? null : `${number(hop.events_per_s)}/s`,
      age: seconds(age(hop.newest_at)),
      lag: hop.lag_s === null && hop.lag_events === null ? null : hop.lag_events === 0 ? "0 s" : `${seconds(hop.lag_s) || "?"} · ${number(hop.lag_events)} events`,
    };
    for (const element of all(`[data-hop="${key}"]`)) {
      const what = element.dataset.show;
      put(element, shown[what], what === "age" && hop.events !== null ? "nothing has arrived since this page's monitor started" : hop.reason);
    }
    const moving = hop.events_per_s > 0;
    for (const pipe of all(`[data-pipe="${key}"]`)) {
      pipe.dataset.state = hop.lag_s === null ? "unknown" : hop.lag_s > 30 ? "behind" : hop.lag_s > 10 ? "slow" : "good";
      pipe.classList.toggle("is-moving", moving);
    }
    for (const box of all(`[data-box="${key}"]`)) box.classList.toggle("has-events", hop.events > 0);
  }

  /* A state that nobody has confirmed lately is not the state any more; a reason is read, not hovered over. */
  function partsTable(parts) {
    const { seconds, bytes, age } = window.tidegate.show;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const title of ["part", "state", "reason", "pid", "memory", "up", "restarts", "address"]) {
      head.appendChild(document.createElement("th")).textContent = title;
    }
    const body = table.createTBody();
    for (const part of parts) {
      const row = body.insertRow(), old = age(part.at) > STALE_S;
      const state = old ? "unknown" : part.state, reason = old ? `was ${words(part.state)}; not reported for ${seconds(age(part.at))}` : part.reason;
      const numbers = [part.pid, bytes(part.memory_bytes), seconds(age(part.started_at)), part.restarts, part.address];
      [part.part, words(state), reason, ...numbers].forEach((cell, index) => {
        const isMissing = index > 2 && index < 6 && state === "running";
        row.insertCell().textContent = cell === null || cell === undefined ? (isMissing ? "unknown" : "\u2013") : cell;
      });
      row.cells[1].dataset.state = state;
      row.cells[2].className = "part-reason";
      row.classList.toggle("is-stale", old);
    }
    return table;
  }

  window.tidegate.painters.push((update) => (update.topic === "overview" ? overview(update.data) : false));
})();
