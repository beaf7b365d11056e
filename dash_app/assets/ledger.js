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

  /* One cell a minute. A minute of which nothing is known is a gap: neither green nor left out. */
  function paintStrip(strip, stream, at) {
    const last = Math.floor(at / MINUTE_MS), points = new Map();
    for (const point of stream.history) points.set(Math.floor(Date.parse(point.at) / MINUTE_MS), point);
    redraw(strip, JSON.stringify([last, stream.history.length, stream.history.at(-1)]), () => {
      const cells = Array.from({ length: CELLS }, (_, index) => cellOf(last - CELLS + 1 + index, points));
      const count = (...states) => cells.filter((cell) => states.includes(cell.dataset.state)).length;
      const counts = [[count("unbalanced"), "unbalanced"], [count("unknown", "gap"), "unknown"]];
      const said = counts.filter(([minutes]) => minutes).map(([minutes, state]) => `${minutes} min ${state}`).join(", ") || "never unbalanced, never unknown";
      strip.setAttribute("aria-label", `The last six hours: ${said}`);
      find("summary", stream.name).textContent = said;
      return cells;
    });
  }
  function cellOf(minute, points) {
    const { clock } = window.tidegate.show, point = points.get(minute), cell = make("i");
    cell.dataset.state = point ? point.verdict : "gap";
    cell.title = point
      ? `${clock(point.at)} ${words(point.verdict)}: ${point.reason}`
      : `${clock(minute * MINUTE_MS, 16)} unknown: no account was taken in this minute`;
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

  window.tidegate.painters.push((update) => (update.topic === "ledger" ? ledger(update.data) : false));
})();
