/* The versions of a stream's tables as a timeline: a lane a table, a mark a commit, all in the order in which they were made. What is
   chosen is in the address, so a link shows the same to somebody else; lake_version.js draws what is known of it. */
(function () {
  "use strict";
  const AGAIN_MS = 5000, PAGE = 100, STEP_PX = 15, LABEL_EVERY_PX = 110;
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const exact = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en"));
  const acts = {
    append: ["\u25cf", "rows appended"], merge: ["\u25c6", "rows upserted"], rollback: ["\u21ba", "rolled back"], swap: ["\u21c4", "days swapped in by a backfill"],
    compact: ["\u25a3", "files compacted"], vacuum: ["\u2715", "old files deleted"], replace: ["\u25a0", "written anew"], delete: ["\u2212", "rows deleted"],
    update: ["\u0394", "rows updated"], create: ["\u25cb", "made"], settings: ["\u2699", "settings"], other: ["?", "other"],
  };
  const fresh = (stream) => ({ stream, tables: new Map(), reason: null, isAsking: false, askedAt: -Infinity, isDrawn: false });
  let state = fresh(null); /* tables: name -> { newest, items, next, readable } */

  const box = () => document.querySelector("[data-lake-versions]");
  const params = () => new URLSearchParams(location.search);
  function chosen() {
    const given = params(), number = (name) => (given.get(name) === null || given.get(name) === "" ? null : Number(given.get(name)));
    return { table: given.get("table"), version: number("version"), other: number("with"), show: given.get("show"), where: given.get("where") || "" };
  }
  function choose(changes) {
    window.tidegate.address.set(changes);
    paint();
  }
  const ask = (path) => window.tidegate.inquire.ask(`tables/${path}`, { within: 30000 });
  const find = (table, version) => ((state.tables.get(table) || { items: [] }).items.find((each) => each.version === version));

  /* One after the other: few questions are answered at once. */
  async function load() {
    const { stream } = state;
    Object.assign(state, { isAsking: true, askedAt: performance.now() });
    const { said, reason } = await ask(encodeURIComponent(stream));
    if (state.stream !== stream) return;
    state.reason = reason;
    for (const { table, version } of said || []) {
      const held = state.tables.get(table);
      if (held && held.newest === version) continue;
      await newer(stream, table, held);
      if (state.stream !== stream) return;
      paint();
    }
    state.isAsking = false;
    state.hasAll = state.hasAll || Boolean(said);
    await reach();
    paint();
  }
  async function newer(stream, table, held) {
    const { said } = await ask(`${stream}/${table}/history?limit=${PAGE}`);
    if (!said || state.stream !== stream) return;
    const last = said.items.length ? said.items[said.items.length - 1].version : 0;
    const older = held && held.oldestShown < last && held.newest >= last ? held.items.filter((each) => each.version < last) : [];
    keep(table, said, [...said.items, ...older], older.length ? held.next : said.next);
  }
  function keep(table, said, items, next) {
    state.tables.set(table, { newest: said.newest, readable: said.readable, oldest: said.oldest, items, next, oldestShown: items.length ? items[items.length - 1].version : 0 });
  }
  async function older(table) {
    const held = state.tables.get(table), { stream } = state;
    if (!held || held.next === null) return;
    const { said } = await ask(`${stream}/${table}/history?limit=${PAGE}&before=${held.next}`);
    if (said && state.stream === stream) keep(table, said, [...held.items, ...said.items], said.next);
    paint();
  }
  /* A link may name a version that is further back than what is shown at first. */
  async function reach() {
    const { table, version } = chosen(), held = state.tables.get(table);
    if (held && version !== null && version < held.oldestShown && held.next !== null && version >= held.oldest) {
      const { said } = await ask(`${state.stream}/${table}/history?limit=${Math.min(1000, held.oldestShown - version)}&before=${held.next}`);
      if (said && state.tables.get(table) === held) keep(table, said, [...held.items, ...said.items], said.next);
    }
  }

  function tick() {
    const place = box();
    if (!place) { if (state.stream) state = fresh(null); return; }
    if (state.stream !== place.dataset.lakeVersions) state = fresh(place.dataset.lakeVersions);
    if (!document.hidden && !state.isAsking && performance.now() - state.askedAt > AGAIN_MS) load();
    paint();
  }

  function paint() {
    const place = box();
    if (!place) return;
    const { table, version, other } = chosen(), of = [...state.tables].map(([name, { items, next }]) => [name, items.length, items[0] && items[0].version, next, items.map((each) => each.is_readable)]);
    if (state.reason || !state.tables.size) {
      const text = state.reason || (state.hasAll ? "Nothing has been written yet." : "Reading the lake\u2019s log \u2026");
      redraw(place, text, () => [make("p", state.reason ? "is-unknown" : "quiet", text)]);
      if (state.reason) return;
    } else {
      const list = place.querySelector(".versions-scrolls"), before = list && { left: list.scrollLeft, isAtEnd: list.scrollLeft + list.clientWidth > list.scrollWidth - 30, focus: focused() };
      const key = JSON.stringify(of);
      redraw(place, key, () => timeline());
      settle(place, before, key);
      for (const mark of place.querySelectorAll("button.commit")) {
        const isHere = mark.dataset.table === table, at = Number(mark.dataset.version);
        mark.classList.toggle("is-chosen", isHere && at === version);
        mark.classList.toggle("is-other", isHere && at === other);
        mark.setAttribute("aria-pressed", String(isHere && (at === version || at === other)));
      }
    }
    if (window.tidegate.lakeVersion) window.tidegate.lakeVersion.paint();
  }
  const focused = () => (document.activeElement && document.activeElement.classList.contains("commit") ? { ...document.activeElement.dataset } : null);
  let settled = null;
  function settle(place, before, key) {
    if (settled === key + state.stream && before) return;
    settled = key + state.stream;
    const list = place.querySelector(".versions-scrolls"), { table, version } = chosen();
    const mark = version === null ? null : markOf(table, version);
    if (!before && mark) list.scrollLeft = mark.offsetLeft - list.clientWidth / 2;
    else list.scrollLeft = !before || before.isAtEnd ? list.scrollWidth : before.left;
    if (before && before.focus) { const again = markOf(before.focus.table, Number(before.focus.version)); if (again) again.focus({ preventScroll: true }); }
  }
  const markOf = (table, version) => document.querySelector(`.commit[data-table="${table}"][data-version="${version}"]`);

  function timeline() {
    const all = [];
    for (const [table, { items }] of state.tables) for (const each of items) all.push({ table, each });
    all.sort((one, two) => (one.each.at < two.each.at ? -1 : one.each.at > two.each.at ? 1 : 0));
    const at = new Map(all.map(({ table, each }, index) => [`${table} ${each.version}`, index * STEP_PX]));
    const scrolls = make("div", "versions-scrolls"), whole = scrolls.appendChild(make("div", "versions"));
    whole.style.setProperty("--width", `${all.length * STEP_PX + 10}px`);
    whole.append(axis(all), ...Array.from(state.tables, ([table, held]) => lane(table, held, at)));
    return [scrolls, legend(all)];
  }
  /* Equal steps, not equal times: a night without commits takes no room, and is said by the times above. */
  function axis(all) {
    const row = make("div", "lane axis"), line = row.appendChild(make("div", "lane-marks"));
    row.prepend(make("div", "lane-name"));
    let last = -Infinity, day = "";
    all.forEach(({ each }, index) => {
      if (index * STEP_PX - last < LABEL_EVERY_PX) return;
      last = index * STEP_PX;
      const label = line.appendChild(make("span", "quiet", `${each.at.slice(0, 10) === day ? "" : `${each.at.slice(0, 10)} `}${each.at.slice(11, 19)}`));
      day = each.at.slice(0, 10);
      label.style.left = `${last}px`;
      last += label.textContent.length > 8 ? LABEL_EVERY_PX / 2 : 0;
    });
    return row;
  }
  function lane(table, held, at) {
    const row = make("div", "lane"), name = row.appendChild(make("div", "lane-name")), line = row.appendChild(make("div", "lane-marks"));
    name.append(make("code", "", table));
    if (held.next !== null) {
      const more = name.appendChild(make("button", "copy", "older"));
      more.type = "button";
      more.title = `Versions before ${held.oldestShown}`;
      more.addEventListener("click", () => older(table));
    }
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", `Versions of ${table}: arrows move, Enter chooses, Shift and Enter chooses one to compare with`);
    const marks = [...held.items].reverse().map((each) => mark(table, each, at.get(`${table} ${each.version}`)));
    if (marks.length) marks[marks.length - 1].tabIndex = 0;
    line.append(...marks);
    return row;
  }
  function mark(table, each, left) {
    const [glyph, words] = acts[each.act] || acts.other, made = make("button", "commit", glyph);
    Object.assign(made, { type: "button", tabIndex: -1, title: `${table} version ${each.version}: ${words}${told(each.changed)}, ${window.tidegate.show.clock(each.at)}${each.is_readable ? "" : `; ${each.reason}`}` });
    Object.assign(made.dataset, { act: each.act, table, version: each.version, readable: each.is_readable ? "yes" : "no" });
    made.setAttribute("aria-label", made.title);
    made.style.left = `${left}px`;
    return made;
  }
  const told = (changed) => { const parts = Object.entries(changed).filter(([, count]) => count).map(([what, count]) => `${exact(count)} ${what}`); return parts.length ? ` (${parts.join(", ")})` : ""; };
  function legend(all) {
    const box = make("p", "versions-legend quiet"), there = new Set(all.map(({ each }) => each.act));
    for (const [act, [glyph, words]] of Object.entries(acts)) {
      if (!there.has(act)) continue;
      const key = make("span", "commit", glyph);
      key.dataset.act = act;
      box.append(key, ` ${words}`, make("span", "", "   "));
    }
    if (all.some(({ each }) => !each.is_readable)) {
      const key = make("span", "commit", "\u25cf");
      Object.assign(key.dataset, { readable: "no", act: "append" });
      box.append(key, " can\u2019t be read any more");
    }
    return box;
  }

  function take(mark, isSecond) {
    const { table, version: now } = chosen(), { table: of, version } = mark.dataset;
    if (isSecond && table === of && now !== null && now !== Number(version)) choose({ with: version, show: "diff" });
    else choose({ table: of, version, with: null, show: null, where: table === of ? params().get("where") : null });
  }
  document.addEventListener("click", (event) => {
    const mark = event.target.closest(".lane .commit");
    if (mark) take(mark, event.shiftKey);
  });
  document.addEventListener("keydown", (event) => {
    const mark = event.target.closest && event.target.closest(".lane .commit");
    if (!mark || event.ctrlKey || event.metaKey || event.altKey) return;
    const marks = [...mark.parentElement.querySelectorAll(".commit")], at = marks.indexOf(mark);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: marks.length - 1 }[event.key];
    if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); take(mark, true); }
    if (to === undefined || !marks[to]) return;
    event.preventDefault();
    mark.tabIndex = -1;
    marks[to].tabIndex = 0;
    marks[to].focus();
    marks[to].scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  window.tidegate.lakeVersions = { chosen, choose, find, ask, acts, told, stream: () => state.stream, tables: () => [...state.tables.keys()], held: (table) => state.tables.get(table) };
  window.addEventListener("tidegate-again", () => { state.askedAt = -Infinity; });
  setInterval(tick, 500);
})();
