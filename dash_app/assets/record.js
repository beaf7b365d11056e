/* The Audit page: the chain's verdict, entries by a filter that is in the address, and one entry whole. */
(function () {
  "use strict";
  const PAGE = 100, AGAIN_MS = 5000, CHAIN_AGAIN_MS = 15000, WALK_WITHIN_MS = 120000;
  const FIELDS = [["text", "text", "Somewhere in an entry's words"], ["actor", "who", "A user's name; anonymous: nobody who was signed in"],
    ["action", "what", "Such as operation.confirm, or operation.*"], ["subject", "of what", "Exactly this subject"],
    ["stream", "stream", "Of this stream"]];
  const OUTCOMES = [["", "any outcome"], ["ok", "ok"], ["refused", "refused"], ["failed", "failed"]];
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what) => document.querySelector(`[data-record-${what}]`);
  const params = () => new URLSearchParams(location.search);
  const isHere = () => Boolean(find("entries"));
  const exact = (value) => value.toLocaleString("en");
  let state = fresh(), chain = { said: null, reason: null, askedAt: -Infinity, isAsking: false }, typing = 0;

  function fresh() { return { for: null, items: null, next: null, reason: null, askedAt: -Infinity, shownAt: null, isAsking: false, pages: 1, entry: null }; }

  function filter() {
    const found = {};
    for (const [name] of [...FIELDS, ["outcome"]]) {
      const value = (params().get(name) || "").trim();
      if (value) found[name] = value;
    }
    const since = window.tidegate.range.since(), { until } = window.tidegate.range.within();
    return { ...found, ...(since === null ? {} : { since: new Date(since).toISOString() }), ...(until ? { until } : {}) };
  }
  function choose(changes) {
    if (!isHere()) return;
    window.tidegate.address.set(changes, { isStep: "entry" in changes });
    tick();
  }

  async function load() {
    const asked = JSON.stringify(filter());
    if (state.for !== asked) state = { ...fresh(), for: asked, items: state.items, shownAt: null };
    if (state.isAsking || performance.now() - state.askedAt < AGAIN_MS) return;
    const mine = state;
    Object.assign(mine, { isAsking: true, askedAt: performance.now() });
    let found = [], cursor = null, reason = null, status = null;
    for (let page = 0; page < mine.pages && (page === 0 || cursor); page += 1) {
      const query = new URLSearchParams({ ...filter(), limit: PAGE, ...(cursor ? { cursor } : {}) });
      const answer = await window.tidegate.inquire.ask(`audit?${query}`);
      ({ reason, status = null } = answer);
      if (!answer.said) break;
      found = [...found, ...answer.said.items];
      cursor = answer.said.next;
    }
    /* Who may not read it is not helped by asking again. */
    Object.assign(mine, { isAsking: false, reason, askedAt: status === 403 ? Infinity : mine.askedAt });
    if (!reason) Object.assign(mine, { items: found, next: cursor, shownAt: performance.now() });
    if (mine === state && isHere()) paint();
  }
  async function loadEntry() {
    const wanted = params().get("entry");
    if (!wanted) { state.entry = null; return; }
    if (state.entry && state.entry.seq === wanted) return;
    const held = (state.items || []).find((each) => String(each.seq) === wanted);
    state.entry = { seq: wanted, said: held || null, reason: null };
    if (held) return;
    const mine = state.entry, { said, reason } = await window.tidegate.inquire.ask(`audit/${encodeURIComponent(wanted)}`);
    Object.assign(mine, { said, reason });
    if (isHere()) paint();
  }
  async function loadChain(fresh) {
    if (chain.isAsking || (!fresh && performance.now() - chain.askedAt < CHAIN_AGAIN_MS)) return;
    Object.assign(chain, { isAsking: true, isWalking: fresh, askedAt: performance.now() });
    const { said, reason, status } = await window.tidegate.inquire.ask(`audit/chain${fresh ? "?fresh=true" : ""}`, { within: WALK_WITHIN_MS });
    chain = { said: said || chain.said, reason, askedAt: status === 403 ? Infinity : performance.now(), isAsking: false };
    if (isHere()) paintChain();
  }

  function tick() {
    if (!isHere()) return;
    drawFilter();
    if (!document.hidden) { load(); loadEntry(); loadChain(false); }
    paint();
    paintChain();
  }

  function paintChain() {
    const badge = find("verdict"), text = find("chain"), age = find("age"), { said, reason } = chain;
    const verdict = said && said.verdict;
    badge.textContent = !verdict ? "unknown" : verdict.holds ? "holds" : verdict.wrong;
    badge.classList.toggle("is-unknown", !verdict);
    badge.dataset.state = !verdict ? "unknown" : verdict.holds ? "balanced" : "unbalanced";
    redraw(age, verdict ? verdict.at : "", () => (verdict ? [window.tidegate.moments.moment("walked ", verdict.at)] : []));
    text.classList.toggle("is-unknown", Boolean(reason));
    const lines = chain.isWalking ? ["Walking the chain ..."] : reason ? [reason] : !verdict ? ["Asking ..."] : told(said);
    redraw(text, JSON.stringify(lines), () => lines.map((line) => make("span", "record-line", line)));
    redraw(document.querySelector('[data-record-cli="verify"]'), "verify", () => [window.tidegate.make.copyButton("tidegate audit verify")]);
    document.querySelector("[data-record-verify]").disabled = Boolean(chain.isAsking && chain.isWalking);
  }
  function told({ verdict, last, export: copy }) {
    const held = verdict.copied === null ? `not held against Kafka: ${verdict.copy_reason}` : `${exact(verdict.copied)} of them held against Kafka's copy`;
    const lines = [verdict.holds ? `${exact(verdict.entries)} entries, ${held}. The last hash is ${verdict.hash}.` : `${verdict.reason}. The ${exact(verdict.entries)} entries before it are right.`];
    if (last.seq > verdict.entries && verdict.holds) lines.push(`${exact(last.seq - verdict.entries)} entries have come since.`);
    if (!copy) lines.push("It is exported nowhere.");
    else if (copy.waiting === null) lines.push(`Export to Kafka: unknown, ${copy.reason}.`);
    else if (copy.reason || copy.waiting) lines.push(`Export to Kafka: ${exact(copy.waiting)} entries wait${copy.reason ? `, ${copy.reason}` : ""}.`);
    else lines.push("Every entry is in Kafka.");
    return lines;
  }

  function drawFilter() {
    const box = find("filter");
    redraw(box, "filter", () => [
      ...FIELDS.map(([name, label, title]) => {
        const input = make("input", "field");
        Object.assign(input, { type: "search", placeholder: label, title, maxLength: 200 });
        input.setAttribute("aria-label", title);
        input.dataset.recordField = name;
        return input;
      }),
      outcomes(),
    ]);
    for (const input of box.querySelectorAll("[data-record-field]")) {
      const value = params().get(input.dataset.recordField) || "";
      if (document.activeElement !== input && input.value !== value) input.value = value;
    }
  }
  function outcomes() {
    const select = make("select", "field");
    select.dataset.recordField = "outcome";
    select.setAttribute("aria-label", "Outcome");
    select.append(...OUTCOMES.map(([value, label]) => Object.assign(make("option", "", label), { value })));
    return select;
  }

  const quoted = (text) => (/^[\w.:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  function paint() {
    const { items, reason, next, shownAt, entry } = state, said = find("said"), open = params().get("entry");
    said.hidden = !reason && Boolean(items && items.length);
    said.textContent = reason || (items ? nothing() : "Asking ...");
    said.classList.toggle("is-unknown", Boolean(reason));
    const age = document.querySelector('[data-record-age="entries"]');
    age.textContent = shownAt === null ? "" : `as it was ${window.tidegate.show.seconds(Math.max(1, Math.round((performance.now() - shownAt) / 1000)))} ago`;
    const table = find("entries");
    table.classList.toggle("is-stale", Boolean(reason) || shownAt === null);
    if (items && items.length) window.tidegate.grid.show("audit", { columns: COLUMNS, rows: items.map(row), key: "audit", chosen: open, open: choosesEntry });
    else window.tidegate.grid.hide("audit");
    find("more").hidden = !next;
    const flags = Object.entries(filter()).map(([name, value]) => ` --${name} ${quoted(value)}`).join("");
    redraw(document.querySelector('[data-record-cli="ls"]'), flags, () => [window.tidegate.make.copyButton(`tidegate audit ls${flags}`)]);
    paintEntry(entry);
  }
  /* Of an empty list: whether the record is, or when it was written to last, whatever is looked for. */
  function nothing() {
    if (!Object.keys(filter()).length) return "Nothing has been recorded yet.";
    const { said } = window.tidegate.inquire.past("audit?limit=1", tick), newest = said && said.items[0];
    return newest ? `No entry fits; the newest of all is ${window.tidegate.show.seconds(window.tidegate.show.age(newest.at))} old.` : "No entry fits.";
  }
  /* Filters are asked of the record, which has more entries than the page. */
  const COLUMNS = [
    { field: "seq", title: "entry", hint: "Its number; Enter shows all of it", isNumber: true, width: 90 },
    { field: "at", title: "at", hint: "UTC", width: 175, draw: ({ at }) => window.tidegate.show.clock(at) },
    { field: "who", title: "who", hint: "A user, a token\u2019s owner, or nobody who was signed in", width: 150 },
    { field: "action", title: "what", hint: "What was asked", width: 170 },
    { field: "subject", title: "of what", hint: "What was acted on", width: 140, flex: 1 },
    { field: "stream", title: "stream", width: 90 },
    { field: "outcome", title: "outcome", width: 100, draw: ({ outcome }) => { const said = make("span", "", outcome); said.dataset.outcome = outcome; return said; } },
    { field: "address", title: "from", hint: "The address that it came from", width: 120 },
    { field: "reason", title: "reason", hint: "Why it was refused, or failed", width: 180, flex: 2 },
  ].map((column) => ({ ...column, hasFilter: false }));
  function row(each) {
    const { seq, at, action, subject, stream, outcome, address, reason } = each, id = String(seq);
    return { id, seq, at, who: `${each.actor} (${each.by})`, action, subject, stream: stream || "-", outcome, address: address || "-", reason: reason || "" };
  }
  function choosesEntry(id) {
    choose({ entry: id === params().get("entry") ? "" : id });
    find("entry").scrollIntoView({ block: "nearest" });
  }
  function paintEntry(entry) {
    const box = find("entry");
    box.hidden = !entry;
    redraw(box, JSON.stringify(entry), () => {
      if (!entry) return [];
      const head = make("div", "card-head"), close = make("button", "copy", "Close");
      close.type = "button";
      close.dataset.recordOpen = "";
      const right = make("div", "verdict");
      right.append(window.tidegate.make.copyButton(`tidegate audit show ${entry.seq}`), close);
      head.append(make("h2", "", `Entry ${entry.seq}`), right);
      if (!entry.said) return [head, make("p", entry.reason ? "is-unknown" : "quiet", entry.reason || "Asking ...")];
      const list = make("dl", "record-facts");
      for (const [name, value] of Object.entries(entry.said)) {
        const shown = list.appendChild(make("dt", "", name)) && list.appendChild(make("dd"));
        if (name === "details") shown.append(make("pre", "", JSON.stringify(value, null, 2)));
        else shown.append(name === "hash" || name === "before" ? make("code", "", value) : value === null ? "-" : String(value));
      }
      return [head, list];
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-record-open], [data-record-more], [data-record-verify]");
    if (!button) return;
    if (button.dataset.recordOpen !== undefined) return choose({ entry: "" });
    if (button.dataset.recordVerify) { loadChain(true); return paintChain(); }
    Object.assign(state, { pages: state.pages + 1, askedAt: -Infinity });
    return tick();
  });
  function heard(event) {
    const input = event.target.closest("[data-record-field]");
    if (!input) return;
    clearTimeout(typing);
    typing = setTimeout(() => choose({ [input.dataset.recordField]: input.value.trim() }), 300);
  }
  document.addEventListener("input", heard);
  window.addEventListener("tidegate-again", () => { state.askedAt = chain.askedAt = -Infinity; tick(); });
  window.tidegate.painters.push((update) => { if (update.topic === "overview") tick(); return false; });
  setInterval(tick, 1000);
})();
