/* The quarantine page: groups and records that were turned away, asked of the API; what is chosen is in the address. */
(function () {
  "use strict";
  const ASK_AGAIN_MS = 3000, WITHIN_MS = 15000;
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what, name) => document.querySelector(`[data-quarantine-${what}="${name}"]`);
  const exact = (value) => value.toLocaleString("en");
  const held = new Map(); /* stream -> { groups, reason, askedAt, ... } */

  const ask = (path) => window.tidegate.inquire.ask(path, { within: WITHIN_MS });
  const post = (path, body) => window.tidegate.inquire.post(path, body, { within: WITHIN_MS });

  /* The address: hop, status, reason, rule, text, and which record is open. Waiting ones are shown unless it says else. */
  const params = () => new URLSearchParams(location.search);
  const chosen = (what) => (what === "status" ? (params().get("status") || "waiting").replace("any", "") : params().get(what) || "");
  let typing = 0;
  /* What is being typed counts at the next choice at the latest: a click elsewhere must not take it back. */
  function written() {
    if (!typing) return {};
    clearTimeout(typing);
    typing = 0;
    const inputs = Array.from(document.querySelectorAll("[data-quarantine-fields] input"));
    return Object.fromEntries(inputs.map((input) => [input.id.replace("quarantine-", ""), input.value.trim()]));
  }
  function choose(changes) {
    const { status, ...others } = { ...written(), ...changes };
    window.tidegate.address.set({ ...others, ...(status === undefined ? {} : { status: status || "any" }) }, { isStep: "record" in changes });
    for (const state of held.values()) Object.assign(state, { askedAt: -Infinity, pages: 1, openId: null });
    tick();
  }
  /* The selection that the API takes; without the status, which a replay does not ask for. */
  function selection(withStatus) {
    const found = {};
    for (const what of ["hop", "reason", "rule", "rules", "text", ...(withStatus ? ["status"] : [])]) if (chosen(what)) found[what] = chosen(what);
    const since = window.tidegate.range.since(), { until } = window.tidegate.range.within();
    return { ...found, ...(since === null ? {} : { since: new Date(since).toISOString() }), ...(until ? { until } : {}) };
  }
  const quoted = (text) => (/^[\w.:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const options = (fields) => Object.entries(fields).map(([what, value]) => ` --${what} ${quoted(String(value))}`).join("");

  const cards = () => Array.from(document.querySelectorAll("[data-quarantine]"));
  const isWhole = (card) => card.dataset.whole === "yes";

  function tick() {
    for (const card of cards()) {
      const name = card.dataset.quarantine;
      if (!document.hidden) load(card, name);
      tellAge(name);
      if (isWhole(card)) showFilter(name);
    }
    if (window.tidegate.quarantine.replayTick) window.tidegate.quarantine.replayTick();
  }

  async function load(card, name) {
    const state = held.get(name) || { askedAt: -Infinity, pages: 1, openId: null };
    held.set(name, state);
    if (state.isAsking || performance.now() - state.askedAt < ASK_AGAIN_MS) return;
    state.isAsking = true;
    state.askedAt = performance.now();
    const asked = location.search;
    try {
      const fields = isWhole(card) ? selection(true) : {};
      const { said, reason } = await ask(`quarantine/streams/${name}/groups?${new URLSearchParams(groupFields(fields))}`);
      const { said: diverted } = await ask(`quarantine/streams/${name}/diverted`);
      const records = isWhole(card) && said ? await pagesOf(name, fields, state.pages) : null;
      if (asked !== location.search || !card.isConnected) return;
      Object.assign(state, { reason, ...(said ? { groups: said, shownAt: performance.now() } : {}) });
      if (diverted) state.diverted = diverted;
      if (records) state.records = records;
      paint(card, name, state);
    } finally {
      state.isAsking = false;
      if (asked !== location.search) state.askedAt = -Infinity;
    }
  }
  /* Groups are shown with all that was done with their records, whatever status the list is of. */
  const groupFields = ({ status, ...others }) => others;
  async function pagesOf(name, fields, count) {
    let found = [], cursor = null;
    for (let page = 0; page < count; page += 1) {
      const { said } = await ask(`quarantine/streams/${name}/records?${new URLSearchParams({ ...fields, ...(cursor ? { cursor } : {}) })}`);
      if (!said) return null;
      found = [...found, ...said.records];
      cursor = said.next;
      if (!cursor) break;
    }
    return { found, next: cursor };
  }

  function tellAge(name) {
    const state = held.get(name), element = find("age", name);
    if (!element || !state || !state.shownAt) return;
    const { seconds } = window.tidegate.show;
    element.textContent = `as it was ${seconds(Math.max(1, Math.round((performance.now() - state.shownAt) / 1000)))} ago`;
  }

  function paint(card, name, state) {
    const { groups, reason } = state, why = find("reason", name);
    const notAll = groups && groups.reason;
    why.classList.toggle("is-unknown", Boolean(reason || notAll));
    why.textContent = reason ? `Unknown: ${reason}` : notAll ? `This may not be all: ${notAll}` : "";
    card.classList.toggle("is-old", Boolean(reason));
    if (groups) {
      if (!reason && !notAll) why.textContent = summary(name, groups.counts, isWhole(card));
      redraw(find("groups", name).tBodies[0], JSON.stringify([groups.groups, location.search]), () => groupRows(card, name, groups));
    }
    if (state.diverted) redraw(find("diverted", name), JSON.stringify([state.diverted, sure]), () => divertedList(name, state.diverted));
    if (isWhole(card) && state.records) recordList(name, state);
  }
  function summary(name, { total, waiting, replayed, discarded }, isFiltered) {
    const last = total || !isFiltered ? null : lastOf(name);
    if (last) return `Nothing that was turned away fits; the last of all was turned away ${window.tidegate.show.seconds(window.tidegate.show.age(last))} ago.`;
    if (!total) return "Nothing was turned away.";
    return `${exact(total)} turned away: ${exact(waiting)} waiting, ${exact(replayed)} replayed, ${exact(discarded)} discarded.`;
  }

  /* Whatever is looked for. */
  function lastOf(name) {
    const { said } = window.tidegate.inquire.past(`quarantine/streams/${name}/groups`, tick);
    return said ? said.groups.map(({ last_at: at }) => at).sort().at(-1) || null : null;
  }
  function emptyRow(span, text) {
    const row = make("tr"), cell = row.appendChild(make("td", "quiet", text));
    cell.colSpan = span;
    return row;
  }
  function groupRows(card, name, { groups }) {
    if (!groups.length) return [emptyRow(9, "None.")];
    return groups.map((group) => {
      const row = make("tr");
      const isHere = isWhole(card) && ["reason", "rules", "hop"].every((what) => chosen(what) === group[what]);
      row.classList.toggle("is-chosen", isHere);
      row.dataset.group = `${group.hop} ${group.reason} ${group.rules}`.trim();
      const reason = make("td"), link = reason.appendChild(make("button", "as-link", words(group.reason)));
      link.type = "button";
      link.addEventListener("click", () => {
        const query = { hop: group.hop, reason: group.reason, rules: group.rules };
        if (isWhole(card)) choose(isHere ? { hop: "", reason: "", rules: "" } : query);
        else location.assign(`/quarantine/${name}?${new URLSearchParams(query)}`);
      });
      row.append(make("td", "quiet", group.hop), reason, make("td", "", group.rules.replaceAll(",", ", ") || "\u2013"));
      for (const what of ["waiting", "replayed", "discarded"]) row.append(make("td", what === "waiting" && group.waiting ? "number strong" : "number", exact(group[what])));
      const trend = row.appendChild(make("td"));
      trend.append(sparkline(group.trend));
      row.append(moment(group.first_at), moment(group.last_at));
      return row;
    });
  }
  const words = (reason) => reason.replaceAll("_", " ");
  function moment(at) {
    const cell = make("td", "quiet", window.tidegate.show.clock(at));
    return cell;
  }
  function sparkline(counts) {
    const space = "http://www.w3.org/2000/svg", most = Math.max(1, ...counts), svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 120 22");
    svg.setAttribute("class", "spark");
    const title = svg.appendChild(document.createElementNS(space, "title"));
    title.textContent = `at most ${exact(Math.max(0, ...counts))} in a sixtieth of the time`;
    counts.forEach((count, index) => {
      if (!count) return;
      const bar = svg.appendChild(document.createElementNS(space, "rect")), height = Math.max(2, (20 * count) / most);
      for (const [key, value] of Object.entries({ x: index * 2, y: 22 - height, width: 1.6, height })) bar.setAttribute(key, value);
    });
    return svg;
  }

  /* Micro-batches that lake's gate diverted: they are released whole, and asked for twice. */
  let sure = null;
  function divertedList(name, batches) {
    if (!batches.length) return [];
    const table = make("table", "quarantine-diverted"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const title of ["diverted micro-batch", "rules", "records", "when", ""]) head.appendChild(make("th", "", title));
    for (const each of batches) {
      const row = body.insertRow(), key = `${name} ${each.batch}`;
      row.append(make("td", "", each.batch), make("td", "", each.rules.replaceAll(",", ", ")), make("td", "number", exact(each.records)), moment(each.last_at));
      const does = row.appendChild(make("td", "orders")), button = does.appendChild(make("button", "copy", sure === key ? "Yes, release it" : "Release"));
      Object.assign(button, { type: "button" }).dataset.needs = "operate";
      button.dataset.needsStream = name;
      button.addEventListener("click", async () => {
        if (sure !== key) sure = key;
        else {
          sure = null;
          const { reason } = await post("gates/orders", { stream: name, stage: "lake", order: "release", subject: each.batch });
          if (reason) find("reason", name).textContent = `Not released: ${reason}`;
        }
        for (const state of held.values()) state.askedAt = -Infinity;
        tick();
      });
      does.append(window.tidegate.make.copyButton(`tidegate gate release ${name} lake ${quoted(each.batch)}`));
    }
    return [make("h3", "section-head", "Diverted by lake's gate"), table];
  }

  function recordList(name, state) {
    const { found, next } = state.records, more = find("more", name);
    find("count", name).textContent = found.length ? `the newest ${exact(found.length)}${next ? ", and more" : ""}` : "none that fit";
    more.hidden = !next;
    const open = params().get("record");
    if (!found.length) window.tidegate.grid.hide("quarantine");
    else window.tidegate.grid.show("quarantine", { columns: RECORDS, rows: found.map(recordRow), key: "records", chosen: open, open: (id) => choose({ record: id === params().get("record") ? "" : id }) });
    const card = document.getElementById("quarantine-record");
    if (!open) card.hidden = true;
    else if (state.openId !== open) { state.openId = open; openRecord(name, open); }
  }
  const RECORDS = [
    { field: "id", title: "record", hint: "Its topic, partition and offset; Enter shows what it says", width: 170 },
    { field: "status", title: "status", hint: "What was done with it", width: 110 },
    { field: "reason", title: "reason", hint: "Why route turned it away", width: 130 },
    { field: "rules", title: "broken rules", hint: "Which rules it broke", width: 180, flex: 1 },
    { field: "schema", title: "schema id", hint: "The writer\u2019s schema id", isNumber: true, width: 100 },
    { field: "raw", title: "raw record", hint: "Partition and offset in the raw topic", width: 120 },
    { field: "at", title: "turned away", hint: "UTC", width: 180, draw: ({ at }) => window.tidegate.show.clock(at) },
  ].map((column) => ({ ...column, hasFilter: false }));
  function recordRow({ id, status, reason, rules, schema_id: schema, tg_partition: partition, tg_offset: offset, rejected_at: at }) {
    return { id, status, reason: words(reason), rules: rules.replaceAll(",", ", ") || "\u2013", schema, raw: offset === null ? "unknown" : `${partition}:${offset}`, at };
  }

  async function openRecord(name, id) {
    const card = document.getElementById("quarantine-record"), box = find("record", name);
    const { said, reason } = await ask(`quarantine/streams/${name}/records/${encodeURIComponent(id)}`);
    if (params().get("record") !== id) return;
    card.hidden = false;
    box.replaceChildren(...(said ? recordDetail(name, said) : [make("p", "is-unknown", `Unknown: ${reason}`)]));
  }
  function recordDetail(name, record) {
    const head = make("div", "card-head"), { payload } = record;
    head.append(make("h2", "", record.id), make("span", "badge", record.status), make("span", "quiet", words(record.reason)));
    const side = head.appendChild(make("div", "verdict"));
    side.append(window.tidegate.make.copyButton(`tidegate quarantine show ${name} ${record.id}`));
    const facts = make("dl", "facts"), { clock } = window.tidegate.show;
    const rows = [["broken rules", record.rules.replaceAll(",", ", ")], ["seen", record.seen_at && clock(record.seen_at, 23)], ["turned away", clock(record.rejected_at, 23)], ["suite", record.suite], ["key", record.key], ["schema id", record.schema_id], ["raw record", record.tg_offset === null ? null : `${record.tg_partition}:${record.tg_offset}`], ["bytes", record.bytes]];
    for (const [what, value] of rows) if (value !== null && value !== "") facts.append(make("dt", "", what), make("dd", "", String(value)));
    const said = make("div", "payload"), how = { avro: "Decoded by its writer's schema", partly: "Decoded up to where it breaks", json: "JSON", text: "Text", bytes: "Bytes" };
    said.append(make("h3", "", how[payload.how]));
    if (payload.json !== null) said.append(make("pre", "", JSON.stringify(JSON.parse(payload.json), null, 2)));
    if (payload.text !== null) said.append(make("pre", "", payload.text));
    if (payload.why) said.append(make("p", "why", payload.why));
    if (payload.rest_bytes) said.append(make("p", "quiet", `${exact(payload.rest_bytes)} bytes that were not read:`), make("pre", "", payload.rest_hex));
    return [head, facts, said, make("h3", "section-head", "History"), historyList(record)];
  }
  function historyList({ history }) {
    const list = make("ol", "history"), { clock } = window.tidegate.show;
    for (const each of history) {
      const item = list.appendChild(make("li"));
      item.append(make("code", "", each.id), ` turned away ${clock(each.rejected_at)}: ${words(each.reason)}${each.rules ? ` (${each.rules.replaceAll(",", ", ")})` : ""}`);
      const { marker } = each;
      if (!marker) item.append(", waiting");
      else item.append(marker.raw ? `, replayed as ${marker.raw} ` : `, discarded (${marker.why}) `, make("span", "quiet", `${clock(marker.at)} by ${marker.by || "unknown"}, ${marker.replay}`));
    }
    return list;
  }

  /* Made here: Dash's own fields draw themselves anew. */
  const LABELS = { reason: "Reason", rule: "Rule", text: "Text in the payload" };
  function fields(what) {
    const input = make("input", "field");
    Object.assign(input, { id: `quarantine-${what}`, type: "search", placeholder: LABELS[what], value: chosen(what) });
    input.setAttribute("aria-label", LABELS[what]);
    return input;
  }
  /* A group's rules, all of them and no other; a click lets go of them. */
  function exactly(rules) {
    const button = make("button", "copy is-chosen", `exactly ${rules.replaceAll(",", ", ")} \u00d7`);
    button.type = "button";
    button.title = "Also those that broke other rules";
    button.addEventListener("click", () => choose({ rules: "" }));
    return button;
  }
  function showFilter(name) {
    redraw(find("fields", name), name, () => Object.keys(LABELS).map(fields));
    redraw(find("exact", name), chosen("rules"), () => (chosen("rules") ? [exactly(chosen("rules"))] : []));
    for (const button of document.querySelectorAll("[data-quarantine-choose]")) {
      const { quarantineChoose: what, value } = button.dataset;
      button.classList.toggle("is-chosen", chosen(what) === value);
      button.setAttribute("aria-pressed", String(chosen(what) === value));
    }
    for (const what of ["reason", "rule", "text"]) {
      const input = document.getElementById(`quarantine-${what}`);
      if (input && document.activeElement !== input && input.value !== chosen(what)) input.value = chosen(what);
    }
    const command = `tidegate quarantine ls ${name} --records${options(selection(true))}`;
    redraw(find("cli", name), command, () => [window.tidegate.make.copyButton(command)]);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-quarantine-choose], [data-quarantine-more]");
    if (!button) return;
    const { quarantineChoose: what, value, quarantineMore: name } = button.dataset;
    if (what) return choose({ [what]: value });
    const state = held.get(name);
    if (state) Object.assign(state, { pages: state.pages + 1, askedAt: -Infinity });
    return tick();
  });
  document.addEventListener("input", (event) => {
    if (!event.target.closest("[data-quarantine-fields]")) return;
    clearTimeout(typing);
    typing = setTimeout(() => choose({}), 300);
  });
  /* A plan is made of what is chosen: who clicks there at once has left the field. */
  document.addEventListener("change", (event) => { if (typing && event.target.closest("[data-quarantine-fields]")) choose({}); });

  window.tidegate.quarantine = { ask, post, selection, options, quoted, params, again: () => { for (const state of held.values()) { state.askedAt = -Infinity; state.openId = null; } tick(); } };
  window.tidegate.painters.push((update) => { if (update.topic === "overview") tick(); return false; });
  window.addEventListener("tidegate-range", () => window.tidegate.quarantine.again());
  window.addEventListener("tidegate-again", () => window.tidegate.quarantine.again());
  setInterval(tick, 1000);
})();
