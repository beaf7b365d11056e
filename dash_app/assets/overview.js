/* The overview: every hop, every verdict, every part. */
(function () {
  "use strict";
  const STALE_S = 10;
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
    const parts = document.getElementById("parts");
    if (parts && frame.parts.length) parts.replaceChildren(partsTable(frame.parts));
    return true;
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
