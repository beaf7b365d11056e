/* Replays and discards on the quarantine page: plan with fix steps, what each record would become, run, progress, cancel. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const exact = (value) => value.toLocaleString("en");
  const { ask, post, selection, options, quoted, params, again } = window.tidegate.quarantine;
  const kept = (...how) => window.tidegate.kept.field(...how);
  const OPEN = ["planning", "running"], ASK_AGAIN_MS = 3000;
  let planned = null; /* the work that is shown: { id, said, reason }; its id is in the address */
  let works = null, askedAt = -Infinity, isAsking = false, sure = false, rate = "";

  const stream = () => { const box = document.querySelector("[data-quarantine-plan]"); return box ? box.dataset.quarantinePlan : null; };
  const lines = () => document.querySelector("[data-quarantine-steps]").value.split("\n").map((line) => line.trim()).filter(Boolean);
  const isAnyway = () => { const box = document.querySelector("[data-quarantine-broken] input"); return Boolean(box && box.checked); };
  const why = () => { const input = document.querySelector("[data-quarantine-why] input"); return input ? input.value.trim() : ""; };
  /* Made here: Dash's own fields draw themselves anew. All that is typed in is in the address, so a link opens the same plan. */
  function fields(name) {
    const steps = document.querySelector("[data-quarantine-steps]");
    if (!steps.dataset.keptAs) kept(steps, "steps");
    redraw(document.querySelector("[data-quarantine-broken]"), name, () => {
      const box = make("input");
      box.type = "checkbox";
      return [kept(box, "anyway"), make("span", "", " even what is still broken")];
    });
    redraw(document.querySelector("[data-quarantine-why]"), name, () => {
      const input = make("input", "field");
      Object.assign(input, { type: "text", placeholder: "why discard", maxLength: 300 });
      input.setAttribute("aria-label", "Why they are discarded");
      return [kept(input, "why")];
    });
  }

  /* The open record when there is one, else all that the filter fits and nothing was done with. */
  const chosen = () => (params().get("record") ? { ids: [params().get("record")] } : selection(false));
  function flags(fields) {
    const { ids, ...others } = fields;
    return options({ ...(ids ? { id: ids[0] } : {}), ...others });
  }
  const commands = (name) => ({
    plan: `tidegate quarantine replay plan ${name}${flags(chosen())}${lines().map((line) => ` --fix ${quoted(line)}`).join("")}${isAnyway() ? " --even-if-broken" : ""}`,
    discard: `tidegate quarantine discard ${name}${flags(chosen())} --why ${quoted(why() || "...")}`,
  });

  async function asks(what) {
    const name = stream(), action = what === "discard" ? "discard" : "replay";
    const body = { action, selection: chosen(), ...(what === "plan" ? { steps: lines(), even_if_broken: isAnyway() } : { why: why() }) };
    if (what === "discard" && !why()) return show({ reason: "say why they are discarded: it is kept with each record" });
    const { said, reason } = await post(`quarantine/streams/${name}/replays`, body);
    sure = false;
    return show(said ? { id: said.id, said } : { reason });
  }
  function show(next) {
    planned = next;
    window.tidegate.address.set({ work: next.id });
    askedAt = -Infinity;
    tick();
  }

  async function act(what) {
    const isRun = what === "run";
    if (isRun && !sure) { sure = true; return tick(); }
    sure = false;
    const limit = Number(rate);
    const { said, reason } = await post(`quarantine/replays/${planned.id}/${what}`, isRun ? { rate: limit > 0 ? limit : null } : {});
    return show(said ? { id: said.id, said } : { ...planned, reason });
  }

  /* A link, or Back, names another one than is shown, or none. */
  function named() {
    const id = params().get("work");
    if (id ? !planned || planned.id !== id : planned && planned.id) { planned = id ? { id } : null; sure = false; askedAt = -Infinity; }
  }
  async function load(name) {
    const isOpen = planned && planned.said && OPEN.includes(planned.said.state);
    if (isAsking || performance.now() - askedAt < (isOpen ? 500 : ASK_AGAIN_MS)) return;
    isAsking = true;
    askedAt = performance.now();
    const shown = planned && planned.id;
    const [{ said: all }, one] = await Promise.all([ask("quarantine/replays"), shown ? ask(`quarantine/replays/${shown}`) : {}]);
    isAsking = false;
    if (all) works = all.filter((each) => each.stream === name);
    const isSame = shown && planned && planned.id === shown;
    if (isSame && !one.said && !planned.said) planned = { ...planned, reason: one.reason };
    if (isSame && one.said) {
      const wasRunning = planned.said && planned.said.state === "running";
      planned = { ...planned, said: one.said };
      if (wasRunning && one.said.state !== "running") again();
    }
    paint(name);
  }

  function tick() {
    const name = stream();
    if (!name) { planned = null; works = null; return; }
    named();
    if (planned && planned.said && planned.said.stream !== name) show({ reason: `${planned.id} is of the stream ${planned.said.stream}` });
    fields(name);
    if (!document.hidden) load(name);
    paint(name);
  }

  function paint(name) {
    const about = document.querySelector("[data-quarantine-about]"), one = params().get("record"), given = selection(false);
    if (!about) return;
    const fields = Object.entries(given).filter(([what]) => !["since", "until"].includes(what)).map(([what, value]) => `${what} ${value}`);
    about.textContent = one ? `the record ${one}` : `all that wait${fields.length ? ` with ${fields.join(", ")}` : ""}${given.since ? `, turned away in: ${window.tidegate.range.get().label}` : ""}`;
    for (const [what, command] of Object.entries(commands(name))) redraw(document.querySelector(`[data-quarantine-cli-of="${what}"]`), command, () => [window.tidegate.make.copyButton(command)]);
    const box = document.querySelector("[data-quarantine-plan]");
    if (box.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return paintWorks(name);
    redraw(box, JSON.stringify([planned, sure]), () => (planned ? planBlock(name) : []));
    return paintWorks(name);
  }

  const names = { ready: "ready", broken: "still broken", unfit: "fit no schema", undecoded: "cannot be decoded", done: "done already" };
  function planBlock(name) {
    const box = make("div", "judgement"), { said, reason } = planned;
    if (!said) {
      if (reason) box.dataset.state = "mistaken";
      box.append(make("p", "", reason || `Asking for ${planned.id} \u2026`));
      return [box];
    }
    box.dataset.state = said.state === "failed" ? "refused" : said.state === "done" ? "accepted" : "open";
    const head = box.appendChild(make("div", "plan-head"));
    head.append(make("strong", "", `${said.asked.action === "discard" ? "Discard" : "Replay"} ${said.id}: ${said.state}`));
    if (said.took_s !== null) head.append(make("span", "quiet", ` in ${window.tidegate.show.seconds(said.took_s)}`));
    if (said.state === "planning") box.append(bar(said.looked_at, said.records), make("p", "quiet", `${exact(said.looked_at)} of ${exact(said.records)} records judged`));
    else if (said.state !== "failed" || said.records) box.append(counts(said));
    for (const each of [said.reason, reason]) if (each) box.append(make("p", "why", each));
    if (["running", "done", "cancelled"].includes(said.state)) box.append(bar(said.done, said.records), make("p", "", `${exact(said.done)} of ${exact(said.records)} ${said.asked.action === "discard" ? "discarded" : "replayed"}${said.skipped ? `, ${exact(said.skipped)} left as they are` : ""}`));
    box.append(buttons(name, said));
    if (said.state === "planned") box.append(...said.examples.map(example));
    return [box];
  }
  function bar(done, of) {
    const outer = make("div", "bar"), inner = outer.appendChild(make("i"));
    inner.style.width = `${of ? (100 * done) / of : 0}%`;
    return outer;
  }
  function counts({ records, counts: found, broken }) {
    const list = make("ul", "counts");
    list.append(make("li", "", `${exact(records)} chosen`));
    for (const [judged, count] of Object.entries(found)) {
      const item = list.appendChild(make("li", "", `${exact(count)} ${names[judged]}`));
      item.dataset.judged = judged;
    }
    const rules = make("ul", "broken");
    for (const [what, count] of Object.entries(broken)) rules.append(make("li", "quiet", `${exact(count)} ${what}`));
    const box = make("div");
    box.append(list, rules);
    return box;
  }
  function buttons(name, { id, state, asked, counts: found }) {
    const line = make("div", "asks"), ready = (found.ready || 0) + (asked.even_if_broken ? found.broken || 0 : 0);
    const button = (label, what) => {
      const made = line.appendChild(make("button", "copy", label));
      made.type = "button";
      made.dataset.quarantineDo = what;
      made.addEventListener("click", () => act(what));
    };
    if (["planned", "cancelled"].includes(state) && ready) {
      const does = asked.action === "discard" ? "discard" : "send";
      if (asked.action === "replay") {
        const limit = line.appendChild(make("input", "field rate"));
        Object.assign(limit, { type: "number", min: 1, placeholder: "records a second", value: rate, title: "At most so many records a second; empty: as fast as can be" });
        limit.addEventListener("input", () => { rate = limit.value; });
      }
      button(sure ? `Yes, ${does} ${exact(ready)} ${ready === 1 ? "record" : "records"}` : state === "cancelled" ? "Go on" : asked.action === "discard" ? "Discard" : "Run", "run");
      line.append(window.tidegate.make.copyButton(`tidegate quarantine replay run ${id}${Number(rate) > 0 ? ` --rate ${rate}` : ""}`));
    }
    if (OPEN.includes(state)) {
      button("Cancel", "cancel");
      line.append(window.tidegate.make.copyButton(`tidegate quarantine replay cancel ${id}`));
    }
    return line;
  }
  /* What of a record would change: only such fields, each before and after. */
  function example({ id, judged, before, after, why: because }) {
    const box = make("article", "example"), old = parsed(before), fresh = parsed(after);
    box.dataset.judged = judged;
    const head = box.appendChild(make("div", "plan-head"));
    head.append(make("code", "", id), make("span", "chip", names[judged]));
    if (because) head.append(make("span", "quiet", because));
    if (!old) return box;
    const changed = Object.keys({ ...old, ...fresh }).filter((field) => fresh && JSON.stringify(old[field]) !== JSON.stringify(fresh[field]));
    const table = make("table"), top = table.createTHead().insertRow(), body = table.createTBody();
    for (const title of ["field", "before", "after"]) top.appendChild(make("th", "", title));
    for (const field of changed) body.insertRow().append(make("td", "", field), make("td", "before", value(old, field)), make("td", "after", value(fresh, field)));
    if (changed.length) box.append(table);
    const whole = box.appendChild(make("details"));
    whole.append(make("summary", "", changed.length ? "The whole record" : "Nothing of it is changed"), make("pre", "", JSON.stringify(fresh || old, null, 2)));
    return box;
  }
  /* Long ones are cut by the API, and then they are no JSON. */
  function parsed(text) {
    try { return text === null ? null : JSON.parse(text); } catch { return null; }
  }
  const value = (event, field) => (field in event ? JSON.stringify(event[field]) : "not there");

  function paintWorks(name) {
    const table = document.querySelector("[data-quarantine-works]");
    if (!table || !works) return;
    redraw(table.tBodies[0], JSON.stringify(works), () => (works.length ? works.slice(0, 30).map((each) => workRow(name, each)) : [none()]));
  }
  function none() {
    const row = make("tr"), cell = row.appendChild(make("td", "quiet", "None yet."));
    cell.colSpan = 8;
    return row;
  }
  function workRow(name, each) {
    const row = make("tr"), id = make("td"), link = id.appendChild(make("button", "as-link", each.id)), { clock } = window.tidegate.show;
    link.type = "button";
    link.addEventListener("click", () => { sure = false; show({ id: each.id }); });
    row.dataset.work = each.id;
    const state = make("td", "", each.state);
    state.dataset.state = each.state;
    if (each.reason) state.title = each.reason;
    row.append(id, make("td", "", each.asked.action), state, make("td", "number", exact(each.records)), make("td", "number", exact(each.done)), make("td", "number", exact(each.skipped)), make("td", "quiet", `${each.asked.by}, ${clock(each.at)}`));
    row.appendChild(make("td")).append(window.tidegate.make.copyButton(`tidegate quarantine replay status ${each.id}`));
    return row;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-quarantine-ask]");
    if (button) asks(button.dataset.quarantineAsk);
  });
  window.tidegate.quarantine.replayTick = tick;
})();
