/* Anything by its name: `/` or Ctrl-K, some letters of it, Enter. Pages, streams, tables, incidents, operations, what can be done (its
   page opens with its form filled in), and commands to copy. Nothing of it asks the server while one types. */
(function () {
  "use strict";
  const { address, look, whenShown } = window.tidegate, { element: make, copied } = window.tidegate.make;
  const SHOWN = 60;
  const at = (path, query = {}) => address.href(query, path, new URLSearchParams());
  const go = (href) => () => address.go(href);

  /* entry: { kind, text, hint, run, needs, stream }; `needs` is an action that not everybody may do. */
  const pages = () => address.places().map((place) => ({
    kind: "page", text: place.name, hint: `g ${place.key}`, needs: place.needs === "read" ? null : place.needs,
    run: go(place.mustName ? `${place.path}/${address.streams()[0].name}` : place.path),
  }));
  const ofStreams = () => address.streams().flatMap(({ name, title }) => address.places()
    .filter((place) => place.names === "stream")
    .map((place) => ({ kind: "stream", text: `${name}: ${place.name}`, hint: title, run: go(`${place.path}/${name}`) })));
  const queries = () => address.streams().flatMap(({ name }) => [["lag", "Lag", ["route", "lake", "live"]], ["spark", "Spark", ["route", "lake"]]]
    .flatMap(([path, word, parts]) => parts.map((part) => ({ kind: "stream", text: `${name}: ${word} of ${part}`, hint: "", run: go(`/${path}/${encodeURIComponent(`${part} ${name}`)}`) }))));
  const tables = () => address.streams().flatMap(({ name, tables: its }) => its.flatMap((table) => [
    { kind: "table", text: `${name}.${table}`, hint: "rows, by SQL over the lake", run: go(at("/sql", { engine: "lake", q: `SELECT * FROM ${name}.${table} LIMIT 100` })), needs: "query" },
    { kind: "table", text: `${name}.${table}: versions`, hint: "of the lake", run: go(at(`/lake/${name}`, { table })) },
  ]));
  const actions = () => [
    ...address.streams().flatMap(({ name }) => [
      { text: `Roll back ${name} \u2026`, hint: "choose a version", needs: "approve", run: go(`/lake/${name}`) },
      { text: `Replay quarantine of ${name} \u2026`, hint: "fix, plan, run", needs: "operate", run: go(at(`/quarantine/${name}`, { hop: "quarantine", status: "waiting" })) },
      { text: `Backfill ${name} \u2026`, hint: "days, anew by today\u2019s definition", needs: "operate", run: go(at("/backfills", { stream: name })) },
      { text: `Maintain the lake of ${name} \u2026`, hint: "compact, vacuum: what is due now", needs: "operate", run: go(`/lake/${name}`) },
      { text: `Try a change of ${name} \u2026`, hint: "a trial", needs: "operate", run: go(at("/trials", { stream: name })) },
    ].map((each) => ({ ...each, stream: name }))),
    { text: "Silence \u2026", hint: "alerts by rule and subject", needs: "operate", run: go(at("/alerts", { open: "plan" })) },
    { text: "Scale \u2026", hint: "executors by hand", needs: "operate", run: go("/scaling") },
    { text: "Light or dark", hint: "t", run: look.toggle },
    { text: "Fold the navigation", hint: "or keep it open", run: look.fold },
    { text: "Sign out", hint: "", run: () => window.tidegate.session.signOut() },
  ].map((each) => ({ kind: "action", ...each }));
  const commands = () => [
    "tidegate status", "tidegate ledger", "tidegate lag", "tidegate alerts ls", "tidegate operations ls", "tidegate gate ls", "tidegate scaling ls", "tidegate schema ls",
    ...address.streams().flatMap(({ name }) => [`tidegate quarantine ls ${name}`, `tidegate lake history ${name}`, `tidegate streams show ${name}`, `tidegate rollback ${name}`, `tidegate backfill ${name}`]),
  ].map((text) => ({ kind: "copy as CLI", text, hint: "", run: () => copied(text) }));
  function operations() {
    const held = window.tidegate.latest.get("operations");
    return held ? held.data.operations.map((each) => ({ kind: "operation", text: `${each.kind.replaceAll("_", " ")} of ${each.stream || each.id}`, hint: `${each.state}, ${each.id}`, run: go(`/operations/${encodeURIComponent(each.id)}`) })) : [];
  }
  let incidents = [];
  async function hearIncidents() {
    const { said } = await window.tidegate.inquire.ask("alerts/incidents");
    if (!said) return;
    incidents = [...said.open, ...(said.past || [])].map((each) => ({ kind: "incident", text: each.title, hint: `${each.resolved_at ? "resolved" : "open"}, ${each.subject}`, run: go(`/alerts/${each.id}`) }));
    gather();
  }

  /* All letters in their order; better at the beginning of a word, and close together. -1: not at all. */
  function fits(text, sought) {
    let from = 0, score = 0, last = -2;
    for (const letter of sought) {
      const found = text.indexOf(letter, from);
      if (found < 0) return -1;
      const begins = found === 0 || /[\s:./_-]/.test(text[found - 1]);
      score += found === last + 1 ? 4 : begins ? 3 : 1;
      last = found;
      from = found + 1;
    }
    return score + (text.includes(sought) ? 6 : 0) - text.length / 100;
  }
  const WEIGHT = { page: 2, action: 2, "copy as CLI": -2 };
  function found(entries, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const scored = entries.map((entry) => {
      const text = `${entry.text} ${entry.kind} ${entry.hint}`.toLowerCase(), each = words.map((word) => fits(text, word));
      return { entry, score: each.some((one) => one < 0) ? -1 : each.reduce((sum, one) => sum + one, WEIGHT[entry.kind] || 0) };
    });
    return scored.filter(({ score }) => score >= 0).sort((one, other) => other.score - one.score).slice(0, SHOWN).map(({ entry }) => entry);
  }

  const dialog = make("dialog", "palette"), input = make("input", "palette-input"), list = make("ul", "palette-list"), count = make("div", "palette-count quiet");
  let entries = [], shown = [], active = 0;
  Object.assign(input, { type: "text", placeholder: "Page, stream, table, incident, operation, command", autocomplete: "off", spellcheck: false });
  for (const [name, value] of [["role", "combobox"], ["aria-label", "Search"], ["aria-expanded", "true"], ["aria-controls", "palette-list"], ["aria-autocomplete", "list"]]) input.setAttribute(name, value);
  Object.assign(list, { id: "palette-list", role: "listbox" });
  list.setAttribute("aria-label", "What was found");
  dialog.setAttribute("aria-label", "Search");
  count.setAttribute("role", "status");
  dialog.id = "palette";
  dialog.append(input, list, count);

  const isDenied = ({ needs, stream }) => Boolean(needs) && !window.tidegate.session.may(needs, stream);
  function gather() {
    entries = [...pages(), ...actions(), ...ofStreams(), ...queries(), ...tables(), ...operations(), ...incidents, ...commands()];
    draw();
  }
  function draw() {
    shown = found(entries, input.value);
    active = Math.min(active, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((entry, index) => {
      const item = make("li", "palette-item"), denied = isDenied(entry);
      Object.assign(item, { id: `palette-${index}`, role: "option" });
      item.setAttribute("aria-selected", String(index === active));
      item.append(make("span", "palette-kind", entry.kind), make("span", "palette-text", entry.text), make("span", "palette-hint quiet", denied ? window.tidegate.session.whyNot(entry.needs, entry.stream) : entry.hint));
      if (denied) item.setAttribute("aria-disabled", "true");
      if (entry.kind === "copy as CLI") item.dataset.copies = entry.text;
      item.addEventListener("click", () => choose(index));
      return item;
    }));
    count.textContent = shown.length ? `${shown.length === SHOWN ? "the best " : ""}${shown.length} found` : "nothing has such a name";
    mark();
  }
  function mark() {
    Array.from(list.children).forEach((item, index) => item.setAttribute("aria-selected", String(index === active)));
    const item = list.children[active];
    if (item) { input.setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); } else input.removeAttribute("aria-activedescendant");
  }
  function choose(index) {
    const entry = shown[index];
    if (!entry || isDenied(entry)) return;
    dialog.close();
    entry.run();
    if (entry.kind === "copy as CLI") window.tidegate.news.toast({ text: `Copied: ${entry.text}` });
  }
  function open() {
    if (dialog.open) return;
    Object.assign(input, { value: "" });
    active = 0;
    gather();
    document.body.append(dialog);
    dialog.showModal();
    hearIncidents();
  }
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
  input.addEventListener("input", () => { active = 0; draw(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); choose(active); return; }
    if (!(event.key in steps)) return;
    event.preventDefault();
    const last = shown.length - 1, by = steps[event.key];
    active = Math.abs(by) === 1 ? (active + by + shown.length) % Math.max(1, shown.length) : Math.max(0, Math.min(last, active + by));
    mark();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("keydown", (event) => {
    const isK = event.key === "k" && (event.ctrlKey || event.metaKey), isTyping = event.target.matches("input, select, textarea, [contenteditable]");
    if (!isK && (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    open();
  });
  /* There only while it is open: another dialog is asked something. */
  dialog.addEventListener("close", () => { if (!dialog.open) dialog.remove(); });
  whenShown(() => document.getElementById("palette-open").addEventListener("click", open));
  window.tidegate.palette = { open, found };
})();
