/* The ledger page: what does not add up first, then how it was in the last hours, then every partition's account. */
(function () {
  "use strict";
  const MINUTE_MS = 60000, CELLS = 360, STALE_S = 10;
  const hops = ["produced", "valid", "dead", "quarantined", "lake", "serving"];
  const words = (state) => state.replaceAll("_", " ");
  const exact = (value) => (value === null || value === undefined ? null : value.toLocaleString("en"));
  const find = (what, name) => document.querySelector(`[data-ledger-${what}="${name}"]`);
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);

  function ledger(frame) {
    for (const stream of frame.streams) if (find("verdict", stream.name)) paint(stream, Date.parse(frame.at));
    return true;
  }

  function paint(stream, at) {
    const { put, age, clock } = window.tidegate.show, { name, taken } = stream;
    const badge = find("verdict", name), reason = find("reason", name), when = find("taken", name);
    put(badge, stream.verdict === "unknown" ? null : words(stream.verdict), stream.reason);
    badge.dataset.state = stream.verdict;
    reason.classList.remove("is-unknown");
    reason.textContent = sentence(stream);
    when.textContent = taken ? `counted at ${clock(taken.at)}` : "";
    const isOld = !taken || age(taken.at) > STALE_S;
    const card = document.getElementById(`ledger-${name}`);
    card.classList.toggle("is-old", isOld);
    card.dataset.state = stream.verdict; /* what does not add up stands first */
    const mismatches = taken ? taken.mismatches : [];
    redraw(find("mismatches", name), JSON.stringify(mismatches), () => mismatches.map((each) => mismatchBlock(name, each)));
    paintStrip(find("history", name), stream, at);
    if (taken) redraw(find("table", name).tBodies[0], JSON.stringify([taken.partitions, stream.verdict, taken.reason]), () => rows(stream));
  }

  const totalOf = (partitions, column) => {
    const counts = partitions.map((each) => each[column]);
    return counts.length === 0 || counts.includes(null) ? null : counts.reduce((sum, count) => sum + count, 0);
  };

  function sentence({ verdict, reason, taken }) {
    const totals = taken ? Object.fromEntries(hops.map((hop) => [hop, totalOf(taken.partitions, hop)])) : {};
    if (verdict !== "balanced" || hops.some((hop) => totals[hop] === null)) return capital(reason);
    return `All ${exact(totals.produced)} events add up: ${exact(totals.valid)} valid, ${exact(totals.dead)} dead, ` +
      `${exact(totals.quarantined)} quarantined; every valid one is in the lake and in ClickHouse, once.`;
  }
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  /* Cells of the chosen range, a minute or more each: the worst that was said in one. Of what nothing is known is a gap: neither
     green nor left out. The last hours are pushed; what was before is asked for. */
  const WORST_LAST = ["balanced", "in_flight", "unknown", "unbalanced"];
  function pointsOf(stream) {
    const { minutes, until } = window.tidegate.range.get(), { minutes: _, ...end } = window.tidegate.range.within();
    if (until === null && minutes <= CELLS) return { points: stream.history, reason: null };
    const { said, reason, askedAt } = window.tidegate.inquire.past(`ledger/${stream.name}/history?${new URLSearchParams({ hours: minutes / 60, ...end })}`, again);
    return { points: said || [], reason: reason ? `unknown: ${reason}` : askedAt === -Infinity ? "asking ..." : null };
  }
  function paintStrip(strip, stream, at) {
    const { minutes, since, until, label } = window.tidegate.range.get(), { clock } = window.tidegate.show;
    const count = Math.min(CELLS, Math.ceil(minutes)), width = minutes * MINUTE_MS / count, last = Math.floor((until || at) / width);
    const { points, reason } = pointsOf(stream);
    redraw(strip, JSON.stringify([last, width, points.length, points.at(-1), reason]), () => {
      const worst = new Map();
      for (const point of points) {
        const cell = Math.floor(Date.parse(point.at) / width), held = worst.get(cell);
        if (!held || WORST_LAST.indexOf(point.verdict) >= WORST_LAST.indexOf(held.verdict)) worst.set(cell, point);
      }
      const cells = Array.from({ length: count }, (_, index) => cellOf((last - count + 1 + index) * width, worst.get(last - count + 1 + index)));
      const lasted = (...states) => Math.round(cells.filter((cell) => states.includes(cell.dataset.state)).length * width / MINUTE_MS);
      const counts = [[lasted("unbalanced"), "unbalanced"], [lasted("unknown", "gap"), "unknown"]];
      const said = reason || counts.filter(([lasting]) => lasting).map(([lasting, state]) => `${lasting} min ${state}`).join(", ") || "never unbalanced, never unknown";
      strip.setAttribute("aria-label", `${since === null ? `The last ${label}` : label}: ${said}`);
      find("summary", stream.name).textContent = said;
      find("from", stream.name).textContent = since === null ? `${label} ago` : clock(since, 16);
      find("until", stream.name).textContent = until === null ? "now" : clock(until, 16);
      return cells;
    });
  }
  function cellOf(start, point) {
    const { clock } = window.tidegate.show, cell = make("i");
    cell.dataset.state = point ? point.verdict : "gap";
    cell.title = point
      ? `${clock(point.at)} ${words(point.verdict)}: ${point.reason}`
      : `${clock(start, 16)} unknown: no account was taken then`;
    return cell;
  }

  function rows(stream) {
    const { partitions } = stream.taken, found = partitions.map((each) => rowOf(stream, each, `${each.partition}`));
    if (partitions.length < 2) return found;
    const whole = Object.fromEntries(hops.map((hop) => [hop, totalOf(partitions, hop)]));
    const row = rowOf(stream, whole, "all");
    row.className = "is-total";
    return [...found, row];
  }

  function rowOf(stream, account, title) {
    const row = make("tr"), reason = stream.taken.reason, isRange = account.raw_until !== undefined;
    const empty = isRange && account.raw_until <= account.raw_from;
    const range = isRange ? (empty ? "none" : `${exact(account.raw_from)}\u2013${exact(account.raw_until - 1)}`) : "";
    for (const text of [title, range, isRange ? exact(account.settled_until) : ""]) row.append(make("td", "", text));
    for (const hop of hops) {
      const cell = row.appendChild(make("td"));
      window.tidegate.show.put(cell, exact(account[hop]), account[hop] === null ? reason : "");
    }
    const cell = row.appendChild(make("td")), difference = differenceOf(account);
    window.tidegate.show.put(cell, difference, difference === null ? reason : "");
    if (difference !== null && difference !== "0") cell.dataset.state = stream.verdict;
    return row;
  }

  function differenceOf({ produced, valid, dead, quarantined, lake, serving }) {
    const less = (count, from) => (count === null || from === null ? null : count - from);
    const routed = valid === null || dead === null || quarantined === null ? null : valid + dead + quarantined;
    const found = Object.entries({ routed: less(routed, produced), lake: less(lake, valid), serving: less(serving, valid) });
    if (found.every(([, count]) => count === null)) return null;
    const said = found.filter(([, count]) => count !== 0).map(([hop, count]) =>
      count === null ? `${hop} unknown` : `${count > 0 ? "+" : "\u2212"}${exact(Math.abs(count))} ${hop}`);
    return said.join(", ") || "0";
  }

  function mismatchBlock(name, mismatch) {
    const block = make("article", "mismatch"), head = block.appendChild(make("div", "mismatch-head"));
    const { start, until, partition, events } = mismatch;
    const title = head.appendChild(make("h3"));
    const where = mismatch.hop === "valid" ? "what route wrote" : mismatch.hop;
    title.append(`${exact(events)} ${events === 1 ? "event" : "events"} ${mismatch.kind === "missing" ? "missing" : "too many"} in ${where}: `);
    title.append(make("code", "", `${name}.raw[${partition}]`));
    title.append(until - start === 1 ? ` offset ${exact(start)}` : ` offsets ${exact(start)}-${exact(until - 1)}`);
    head.append(window.tidegate.make.copyButton(`tidegate ledger --stream ${name} -o json`));
    if (!mismatch.records.length) {
      block.append(make("p", "quiet", "No record of this range could be read."));
      return block;
    }
    const scrolls = block.appendChild(make("div", "scrolls"));
    scrolls.append(recordsTable(mismatch));
    if (events > mismatch.records.length) block.append(make("p", "quiet", `The first ${mismatch.records.length} of ${exact(events)}.`));
    return block;
  }

  function recordsTable(mismatch) {
    const table = make("table", "records"), head = table.createTHead().insertRow();
    for (const title of ["offset", "taken at (UTC)", "key", "found", "record"]) head.append(make("th", "", title));
    const body = table.createTBody();
    for (const record of mismatch.records) {
      const row = body.insertRow();
      const key = record.key === null ? "no key" : record.key;
      for (const text of [exact(record.offset), record.at.slice(0, 23).replace("T", " ").replace("Z", ""), key]) row.append(make("td", "", text));
      const found = row.appendChild(make("td", "found"));
      for (const [hop, count] of Object.entries(record.found)) {
        const chip = found.appendChild(make("span", "chip", `${hop} ${count}`));
        if (hop === mismatch.hop) chip.dataset.state = mismatch.kind;
      }
      row.appendChild(make("td", "record")).append(payloadOf(record));
    }
    return table;
  }

  function payloadOf(record) {
    const details = make("details"), kind = record.is_decoded ? "" : "not decoded, hexadecimal: ";
    details.append(make("summary", "", kind + record.payload), make("pre", "", pretty(record)));
    return details;
  }
  function pretty(record) {
    try {
      return record.is_decoded ? JSON.stringify(JSON.parse(record.payload), null, 2) : record.payload;
    } catch {
      return record.payload; /* shortened: no JSON any more */
    }
  }

  const again = () => { const held = window.tidegate.latest.get("ledger"); if (held) ledger(held.data); };
  window.addEventListener("tidegate-range", again);
  window.tidegate.painters.push((update) => (update.topic === "ledger" ? ledger(update.data) : false));
})();
