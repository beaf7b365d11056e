/* The Backfills page: what is asked for is typed in (it is in the address, so a link asks for the same), planned and confirmed in the
   dialog of operations; one backfill is shown with its days; schedules ask again and again. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const copyButton = (command) => window.tidegate.make.copyButton(command);
  const SCHEDULES_AGAIN_MS = 5000, UNDER_WAY = ["planning", "planned", "queued", "running", "paused"];
  const quoted = (text) => (/^[\w.:,/*=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const params = () => new URLSearchParams(location.search);
  const place = (what) => document.querySelector(`[data-backfills-${what}]`);
  const defaults = { source: "history", since: "", until: "", files: "", order: "newest", parallel: "2", max_lag_s: "30", why: "" };
  const fields = [
    ["source", "from", "select", [["history", "the lake\u2019s history"], ["rejects", "what was turned away"], ["files", "files"]], "Where the events come from"],
    ["since", "first day", "date", null, "Of event time; empty: from the first"],
    ["until", "last day", "date", null, "Included; empty: to the last"],
    ["files", "files", "text", null, "Paths or globs below TIDEGATE_BACKFILL_FILES, with a space between: Parquet, JSON lines, CSV or Avro"],
    ["order", "order", "select", [["newest", "newest first"], ["oldest", "oldest first"]], "Which days are done first"],
    ["parallel", "at once", "number", null, "Days at once, 1 to 16"],
    ["max_lag_s", "waits above, s", "number", null, "Seconds: it waits while a live query of the stream is further behind"],
    ["why", "why", "text", null, "Kept with it, and told to PagerDuty"],
  ];

  /* What is typed in, as it is in the address. */
  const given = (name) => params().get(name) ?? defaults[name];
  function streams() { return place("form").dataset.backfillsForm.split(" ").filter(Boolean); }
  const stream = () => (streams().includes(params().get("stream")) ? params().get("stream") : streams()[0]);
  function set(name, value) {
    window.tidegate.address.set({ [name]: value === defaults[name] ? "" : value });
    form();
  }
  const files = () => given("files").split(/\s+/).filter(Boolean);
  function asked() {
    const isFiles = given("source") === "files", day = (name) => given(name) || null;
    return { stream: stream(), source: given("source"), since: day("since"), until: day("until"), files: isFiles ? files() : [], order: given("order"), parallel: Number(given("parallel")), max_lag_s: Number(given("max_lag_s")) };
  }
  function command() {
    const options = [["source", "--source"], ["since", "--since"], ["until", "--until"], ["order", "--order"], ["parallel", "--parallel"], ["max_lag_s", "--max-lag"], ["why", "--why"]];
    const said = options.filter(([name]) => given(name) !== defaults[name]).map(([name, option]) => ` ${option} ${quoted(given(name))}`).join("");
    return `tidegate backfill ${stream()}${said}${given("source") === "files" ? files().map((each) => ` --file ${quoted(each)}`).join("") : ""}`;
  }
  const body = () => ({ kind: "backfill", asked: asked(), ...(given("why").trim() ? { why: given("why").trim() } : {}) });

  /* `today-7` is a day as of each run. */
  const bodyOf = (days) => (Number(days) > 0 ? { ...body(), asked: { ...asked(), since: `today-${Number(days)}`, until: "today" } } : body());

  function inputOf([name, label, kind, choices, what]) {
    const box = make("label", "backfills-field", `${label} `), input = make(kind === "select" ? "select" : "input", "field");
    if (choices) for (const [value, text] of choices) input.append(new Option(text, value));
    else Object.assign(input, { type: kind, autocomplete: "off", spellcheck: false });
    if (kind === "number") Object.assign(input, { min: 1, step: name === "parallel" ? 1 : "any", ...(name === "parallel" ? { max: 16 } : {}) });
    input.value = name === "stream" ? stream() : given(name);
    Object.assign(input, { title: what });
    input.setAttribute("aria-label", what);
    input.dataset.backfillsField = name;
    input.addEventListener("input", () => set(name, input.value));
    box.append(input);
    return box;
  }
  function form() {
    const box = place("form");
    redraw(box, box.dataset.backfillsForm, () => {
      const made = make("form", "backfills-form"), go = make("button", "copy is-main", "Plan \u2026");
      const pick = inputOf(["stream", "stream", "select", streams().map((each) => [each, each]), "Which stream"]);
      Object.assign(go, { type: "submit" });
      Object.assign(go.dataset, { backfillsDo: "plan", needs: "plan" });
      made.append(pick, ...fields.map(inputOf), go, make("span", "backfills-cli"), make("span", "quiet", "A plan first: nothing is done before it is confirmed."));
      made.addEventListener("submit", (event) => {
        event.preventDefault();
        window.tidegate.operate.start(body(), { title: `Backfill of ${stream()}`, cli: command() });
      });
      return [made];
    });
    box.querySelector('[data-backfills-field="files"]').parentElement.hidden = given("source") !== "files";
    box.querySelector("[data-backfills-do]").dataset.needsStream = stream();
    redraw(box.querySelector(".backfills-cli"), command(), () => [copyButton(command())]);
    schedule();
  }

  /* One backfill: the one in the address, or else the newest that is under way, or the newest of all. */
  const shownIn = new WeakMap();
  function one() {
    const box = place("one"), update = window.tidegate.latest.get("operations");
    if (!box || !window.tidegate.operateView) return;
    const held = shownIn.get(box) || { surface: window.tidegate.operate.surface(box, { shown: ({ id, kind }) => { if (kind === "backfill" && id !== held.id) { held.id = id; choose(id); } } }), id: null };
    shownIn.set(box, held);
    const all = update ? update.data.operations.filter((each) => each.kind === "backfill" && (!box.dataset.backfillsOne || each.stream === box.dataset.backfillsOne)) : [];
    const newest = all.find((each) => UNDER_WAY.includes(each.state)) || all[0], id = params().get("operation") || (newest ? newest.id : null);
    box.closest("section").hidden = id === null;
    if (id === null || held.id === id) return;
    held.id = id;
    held.surface.show(id);
  }
  function choose(id) {
    window.tidegate.address.set({ operation: id }, { isStep: true });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-here] a[data-operation-link]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    choose(link.dataset.operationLink);
    one();
  }, true);

  /* Schedules: any kind of operation may have one; made here of what is typed in above. */
  let schedules = null, why = null, askedAt = -Infinity, isAsking = false, saidOf = "";
  const ask = (path, how) => window.tidegate.operate.ask(path, how);
  async function load() {
    if (isAsking || document.hidden || performance.now() - askedAt < SCHEDULES_AGAIN_MS) return;
    isAsking = true;
    askedAt = performance.now();
    const { said, reason } = await ask("/schedules");
    isAsking = false;
    schedules = said || schedules;
    why = reason;
    list();
  }
  const written = (each) => `tidegate operations schedule set ${each.name} --cron ${quoted(each.cron)} --kind ${each.ask.kind} --asked ${quoted(JSON.stringify(each.ask.asked))}${each.confirm ? " --confirm" : ""}`;
  function schedule() {
    const box = place("schedule");
    if (!box) return;
    redraw(box, "made", () => {
      const made = make("form", "backfills-form"), name = make("input", "field"), cron = make("input", "field"), days = make("input", "field"), sure = make("input"), go = make("button", "copy", "Schedule it");
      Object.assign(name, { placeholder: "name, such as nightly", pattern: "[a-z0-9][a-z0-9_\\-]*", required: true, maxLength: 60 });
      Object.assign(cron, { placeholder: "30 3 * * 1", required: true, title: "Five fields of a crontab, in UTC" });
      Object.assign(sure, { type: "checkbox" });
      Object.assign(days, { type: "number", min: 1, max: 9999, title: "Days before the run\u2019s, and that day; empty: the days above" });
      name.dataset.backfillsSchedule = "name";
      days.dataset.backfillsSchedule = "days";
      cron.dataset.backfillsSchedule = "cron";
      name.setAttribute("aria-label", "Name of the schedule");
      cron.setAttribute("aria-label", "When: five fields of a crontab, in UTC");
      Object.assign(go, { type: "submit" });
      Object.assign(go.dataset, { backfillsDo: "schedule", needs: "plan" });
      const label = make("label", ""), back = make("label", "", "of the last "), copies = make("span", "backfills-cli");
      back.append(days, " days");
      label.append(sure, " without anybody\u2019s confirmation");
      const now = () => ({ name: name.value.trim() || "NAME", cron: cron.value.trim() || "30 3 * * 1", ask: bodyOf(days.value), confirm: sure.checked });
      const write = () => redraw(copies, written(now()), () => [copyButton(written(now()))]);
      for (const each of [name, cron, days, sure]) each.addEventListener("input", write);
      made.addEventListener("submit", async (event) => {
        event.preventDefault();
        const { name: called, ...rest } = now();
        const { said, reason } = await ask(`/schedules/${encodeURIComponent(called)}`, { method: "PUT", body: rest });
        saidOf = said ? `${called} asks for this backfill, next ${said.next_at ? window.tidegate.show.clock(said.next_at) : "never"}.` : `Not scheduled: ${reason}`;
        again();
      });
      made.append(name, cron, back, label, go, copies);
      write();
      made.write = write;
      return [made];
    });
    if (box.firstChild && box.firstChild.write) box.firstChild.write();
  }
  function again() { askedAt = -Infinity; list(); load(); }
  function list() {
    const box = place("schedules");
    if (!box) return;
    const said = place("said");
    if (said.textContent !== saidOf) said.textContent = saidOf;
    redraw(box.tBodies[0], JSON.stringify([schedules, why]), () => {
      if (schedules && schedules.length) return schedules.map(scheduleRow);
      const row = make("tr"), cell = row.appendChild(make("td", schedules ? "quiet" : "is-unknown", schedules ? "None." : why || "Not known yet."));
      cell.colSpan = box.tHead.rows[0].cells.length;
      return [row];
    });
  }
  function scheduleRow(each) {
    const row = make("tr"), acts = make("td"), last = make("td"), next = make("td", each.next_at ? "" : "quiet", each.next_at ? window.tidegate.show.clock(each.next_at) : "off");
    const act = (label, does) => {
      const button = make("button", "copy", label);
      button.type = "button";
      Object.assign(button.dataset, { needs: "plan", needsStream: String(each.ask.asked.stream || "") });
      button.addEventListener("click", async () => {
        const { reason } = await does();
        saidOf = reason ? `Nothing was changed: ${reason}` : "";
        again();
      });
      acts.append(button, " ");
    };
    const { name, cron, ask: what, confirm, is_on: isOn } = each;
    act(isOn ? "Off" : "On", () => ask(`/schedules/${name}`, { method: "PUT", body: { cron, ask: what, confirm, is_on: !isOn } }));
    act("Remove", () => ask(`/schedules/${name}`, { method: "DELETE" }));
    acts.append(copyButton(written(each)));
    if (each.last_operation) last.append(window.tidegate.make.link(each.last_operation, `/operations/${each.last_operation}`), " ", window.tidegate.moments.moment("", each.last_at));
    else last.append("\u2013");
    row.dataset.schedule = name;
    row.append(make("td", "", name), make("td", "", cron), make("td", "", `${what.kind} ${what.asked.stream || ""}`), next, last, make("td", "", confirm ? "confirms itself" : "waits for a confirmation"), make("td", each.reason ? "is-bad" : "quiet", each.reason || `by ${each.by}`), acts);
    return row;
  }

  function tick() {
    if (!place("form")) return;
    form();
    one();
    load();
    list();
  }
  window.tidegate.backfills = { command, asked };
  window.addEventListener("tidegate-again", () => { askedAt = -Infinity; });
  setInterval(tick, 300);
})();
