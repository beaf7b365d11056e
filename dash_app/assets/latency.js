/* The Latency page: bars of hops, a hop's histogram and past, budgets. What it says is controlplane/contract/latency.py. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how), redraw = (...how) => window.tidegate.make.redraw(...how), address = window.tidegate.address;
  const HOPS = ["raw", "routed", "inserted", "served", "sent", "painted"], PROBE = "tidegate_probe", OLD_S = 90;
  const DONE = { raw: "the raw topic has it", routed: "the valid topic has it", inserted: "ClickHouse has it", served: "the hub has read it", sent: "it is sent to browsers", painted: "it is on a screen" };
  const VERDICTS = { kept: "kept", burns: "burns", burns_fast: "burns fast", unknown: "unknown" };
  const find = (what, stream) => document.querySelector(`[data-latency-${what}="${stream}"]`);
  const colour = (hop) => `var(--line-${HOPS.indexOf(hop) + 1})`;
  const called = (stream) => (stream === PROBE ? "probes" : stream);
  const windowNow = () => address.get("window") || "5m";
  function time(ms) {
    if (ms === null) return "unknown";
    return ms < 10 ? `${ms.toFixed(1)}\u00a0ms` : ms < 1000 ? `${Math.round(ms)}\u00a0ms` : ms < 120000 ? `${(ms / 1000).toFixed(1)}\u00a0s` : window.tidegate.show.seconds(ms / 1000).replace(" ", "\u00a0");
  }
  const known = (hops) => hops.filter(({ p50_ms: ms }) => ms !== null);
  /* The hop that is looked at: the one of the address where it names this stream, else the last of which something is known. */
  function opened(stream, hops) {
    const asked = address.get("hop"), named = address.here().named;
    if (HOPS.includes(asked) && (!named || named === called(stream))) return asked;
    const last = known(hops).at(-1);
    return last ? last.hop : "painted";
  }
  function open(stream, hop) {
    const to = address.here().named ? address.href({ hop }) : address.href({ hop }, `/latency/${called(stream)}`);
    if (address.here().named) address.set({ hop }, { isStep: true });
    else address.go(to);
    again();
  }

  function latency(frame) {
    for (const button of document.querySelectorAll("[data-latency-window]")) {
      const isHere = button.dataset.latencyWindow === windowNow();
      button.classList.toggle("is-here", isHere);
      button.setAttribute("aria-pressed", String(isHere));
    }
    here();
    const rows = [...frame.streams, ...(frame.probes ? [frame.probes] : [])], shown = rows.map((row) => stream(row, frame));
    if (!frame.probes && find("bars", PROBE)) off(frame.probe);
    return shown.some(Boolean);
  }
  function off(probe) {
    redraw(find("bars", PROBE), probe.reason, () => [make("p", "is-unknown", `Unknown: ${probe.reason}.`)]);
    const open = find("card", PROBE).querySelector(".latency-open");
    open.hidden = true;
  }
  function here() {
    const element = document.querySelector("[data-latency-here]"), mine = window.tidegate.paints.slice(-200).filter(({ marks }) => marks && marks.event_ms);
    const ages = mine.map(({ marks, at_ms: at }) => at - marks.event_ms).filter((age) => age < 60000).sort((a, b) => a - b);
    const text = ages.length ? `${time(ages[Math.floor(ages.length / 2)])} median, ${time(ages.at(-1))} longest, of the newest event in its last ${ages.length} pictures` : null;
    window.tidegate.show.put(element, text, "this browser has shown no live page of events of today since it was loaded");
    if (text === null) element.textContent = "unknown: this browser has shown no live page since it was loaded";
  }

  function stream(row, frame) {
    const name = row.name, box = find("bars", name);
    if (!box) return false;
    const hops = row.windows[windowNow()] || row.windows["5m"], hop = opened(name, hops), known_ = known(hops);
    const since = row.since === "raw" ? "since the raw topic took it: its event time is not of today" : row.since ? "since its event time" : "";
    redraw(find("since", name), since, () => [since]);
    const newest = Math.max(...known_.map(({ newest_at: at }) => Date.parse(at)), -Infinity);
    find("card", name).classList.toggle("is-old", known_.length > 0 && (window.tidegate.hubNow() - newest) / 1000 > OLD_S);
    redraw(find("cli", name), name, () => [window.tidegate.make.copyButton(`tidegate latency --stream ${called(name)}`)]);
    redraw(box, JSON.stringify([known_, hop, row.promised_ms]), () => (known_.length ? bars(row, known_, hop) : [make("p", "is-unknown", `Unknown in the last ${windowNow()}: ${[...new Set(hops.map(({ reason }) => reason))].join("; ")}.`)]));
    redraw(find("hops", name), JSON.stringify([hops, hop]), () => [table(name, hops, hop)]);
    redraw(find("burns", name), JSON.stringify([row.burns, name === PROBE && probeWords(frame.probe)]), () => (name === PROBE ? [make("p", frame.probe.reason ? "is-unknown" : "", probeWords(frame.probe))] : [burns(row.burns)]));
    histogram(row, hop);
    history(row, hop);
    return true;
  }

  /* The width of a part is how much older events are than at the hop before, at that percentile. */
  function bars(row, hops, hop) {
    const most = Math.max(...hops.map(({ p99_ms: ms }) => ms), 1), made = [];
    for (const [label, key] of [["p50", "p50_ms"], ["p99", "p99_ms"]]) {
      const line = make("div", "latency-line"), track = make("div", "latency-track");
      let before = 0;
      for (const each of hops) {
        const part = Math.max(0, each[key] - before), button = make("button");
        button.type = "button";
        button.style.width = `${part / most * 100}%`;
        button.style.setProperty("--part", colour(each.hop));
        button.title = `${label}: ${time(each[key])} when ${DONE[each.hop]}, ${time(part)} more than before`;
        button.setAttribute("aria-label", `${each.hop}, ${button.title}`);
        button.setAttribute("aria-pressed", String(each.hop === hop));
        button.addEventListener("click", () => open(row.name, each.hop));
        before = Math.max(before, each[key]);
        track.append(button);
      }
      line.append(make("span", "", label), track);
      made.push(line);
    }
    const ends = make("div", "latency-ends");
    ends.append(make("span", "", "0"), make("span", "", time(most)));
    return [...made, ends, ...(row.promised_ms ? [promise(row.promised_ms, most)] : [])];
  }

  function promise(ms, most) {
    const made = make("div", "latency-promise"), line = made.appendChild(make("i"));
    made.append(make("span", "", ms > most ? `All of this is within the promised ${time(ms)}` : `Promised: ${time(ms)}`));
    line.style.width = `${Math.min(1, ms / most) * 100}%`;
    return made;
  }

  function headed(...columns) {
    const made = make("table"), top = made.createTHead().insertRow();
    for (const [name, title, isNumber] of columns) {
      const cell = top.appendChild(make("th", isNumber ? "number" : "", name));
      if (title) cell.title = title;
    }
    return [made, made.createTBody()];
  }
  function table(name, hops, hop) {
    const [made, body] = headed(["hop", ""], ["p50", "Half of the events were younger", true], ["p99", "99 of 100 were younger", true], ["longest", "Of those that were measured", true], ["measured", "Samples", true], ["newest", "To within half a minute", true]);
    for (const each of hops) {
      const line = body.insertRow(), first = line.insertCell(), button = make("button", "", each.hop), mark = make("i");
      line.classList.toggle("is-open", each.hop === hop);
      mark.style.setProperty("--part", colour(each.hop));
      button.type = "button";
      button.title = `When ${DONE[each.hop]}`;
      button.addEventListener("click", () => open(name, each.hop));
      first.append(mark, button);
      if (each.p50_ms === null) {
        const cell = line.appendChild(make("td", "is-unknown", `unknown: ${each.reason}`));
        cell.colSpan = 5;
        continue;
      }
      for (const ms of [each.p50_ms, each.p99_ms, each.max_ms]) line.append(make("td", "number", time(ms)));
      const at = line.appendChild(make("td", "number", each.samples.toLocaleString("en"))).parentElement.appendChild(make("td", "number"));
      at.append(window.tidegate.moments.moment("", each.newest_at));
    }
    return made;
  }

  const days = (seconds) => (seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`);
  function burns(judged) {
    const [made, body] = headed(["service level", ""], ["is", ""], ["burns, 5 min", "How many times faster than allowed", true], ["1 h", "", true], ["6 h", "", true], ["budget left", "Of 30 days'", true], ["gone in", "At the last hour's rate", true], ["measured by", ""]);
    for (const each of judged) {
      const line = body.insertRow(), what = `${each.level}${each.hop ? ` of ${each.hop}` : ""}: ${each.promised_s} s in ${Math.round(each.objective * 100)} %`;
      line.append(make("td", "", what));
      const verdict = line.appendChild(make("td", each.verdict === "unknown" ? "is-unknown" : "", VERDICTS[each.verdict]));
      verdict.dataset.verdict = each.verdict;
      for (const name of ["5m", "1h", "6h"]) {
        const rate = each.rates[name];
        line.append(make("td", rate === null || rate === undefined ? "number is-unknown" : "number", rate === null || rate === undefined ? "unknown" : `${rate.toFixed(1)}\u00d7`));
      }
      line.append(make("td", each.budget_left === null ? "number is-unknown" : "number", each.budget_left === null ? "unknown" : `${(each.budget_left * 100).toFixed(1)} %`));
      const isGone = each.budget_left !== null && each.budget_left <= 0, gone = isGone ? "it is gone" : each.gone_in_s === null ? each.rates["1h"] === 0 ? "never" : "unknown" : days(each.gone_in_s);
      line.append(make("td", gone === "unknown" ? "number is-unknown" : "number", gone));
      line.append(make("td", each.by ? "latency-why" : "latency-why is-unknown", each.by || each.reason || "nobody lately"));
    }
    return made;
  }
  function probeWords(probe) {
    if (!probe.is_on) return `Probes are off: ${probe.reason}.`;
    if (probe.reason) return `Probes do not arrive: ${probe.reason}.`;
    if (probe.waits_s !== null && probe.waits_s > 2) return `A probe has been on its way for ${probe.waits_s.toFixed(0)} s and has not been read from ClickHouse.`;
    return "One event a second goes the way of all others up to the hub; they stand for a stream while nobody watches it.";
  }

  function histogram(row, hop) {
    const minutes = { "5m": 5, "1h": 60, "6h": 360 }[windowNow()] || 5, box = find("histogram", row.name);
    const { said, reason } = window.tidegate.inquire.past(`latency/histogram?${new URLSearchParams({ stream: row.name, hop, minutes })}`, again);
    const told = find("opened", row.name);
    redraw(told, hop, () => [`How old events are when ${DONE[hop]}`]);
    redraw(box, JSON.stringify([said, reason, hop]), () => {
      if (!said) return [make("p", "is-unknown", reason ? `Unknown: ${reason}.` : "asking ...")];
      if (!said.length) return [make("p", "is-unknown", `Unknown: nothing was measured in the last ${windowNow()}.`)];
      const made = make("div", "latency-histogram"), most = Math.max(...said.map(({ share }) => share)), ends = make("div", "latency-ends");
      made.setAttribute("role", "img");
      made.setAttribute("aria-label", said.filter(({ share }) => share > 0).map((bar) => `${time(bar.from_ms)} to ${time(bar.to_ms)}: ${(bar.share * 100).toFixed(1)} %`).join("; "));
      for (const bar of said) {
        const each = made.appendChild(make("i"));
        each.style.height = `${bar.share / most * 100}%`;
        each.style.setProperty("--part", colour(hop));
        each.title = `${time(bar.from_ms)} to ${time(bar.to_ms)}: ${(bar.share * 100).toFixed(1)} %`;
        if (row.promised_ms && bar.from_ms >= row.promised_ms) each.dataset.late = "";
      }
      ends.style.marginLeft = "0";
      ends.append(make("span", "", time(said[0].from_ms)), make("span", "", "each bar is 19 % wider than the one before"), make("span", "", time(said.at(-1).to_ms)));
      return [made, ends];
    });
  }
  function history(row, hop) {
    const { said, reason } = window.tidegate.inquire.past(`latency/history?${new URLSearchParams({ stream: row.name, hop, ...window.tidegate.range.within() })}`, again);
    const points = Array.isArray(said) ? said : [], { timechart, range, stamp } = window.tidegate.timechart, x = points.map(({ at }) => stamp(Date.parse(at)));
    const words = reason ? `How it was is unknown: ${reason}.` : said && !points.length ? "Nothing was kept in this time." : "", told = find("history", row.name);
    redraw(told, words, () => [words]);
    told.classList.toggle("is-unknown", Boolean(reason));
    timechart(find("chart", row.name), { ...range(), unit: " ms", traces: [
      { name: "p99", x, y: points.map(({ p99_ms: ms }) => ms), colour: 1, unit: " ms" },
      { name: "p50", x, y: points.map(({ p50_ms: ms }) => ms), colour: 0, unit: " ms", fill: true },
    ] });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-latency-window]");
    if (button) { address.set({ window: button.dataset.latencyWindow === "5m" ? "" : button.dataset.latencyWindow }); again(); }
  });
  const isHere = () => document.querySelector("[data-latency-card]") !== null;
  const again = () => { const held = window.tidegate.latest.get("latency"); if (held && isHere()) latency(held.data); };
  window.addEventListener("tidegate-range", again);
  address.onChange(again);
  window.tidegate.painters.push((update) => (update.topic === "latency" && isHere() ? latency(update.data) : false));
})();
