/* How an operation is drawn: what it is, its plan, the confirmation, how far it is, what came of it. Nothing is asked from here. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const copyButton = (command) => window.tidegate.make.copyButton(command);
  const show = () => window.tidegate.show;
  const exact = (value) => (value === null || value === undefined ? null : value.toLocaleString("en"));
  const names = { backfill: "Backfill", rollback: "Rollback", trial: "Trial", promotion: "Promotion", load_test: "Load test", maintenance: "Maintenance" };
  const NEEDS = { rollback: "approve", promotion: "approve" };
  const PARTS = ["head", "said", "plan", "confirm", "progress", "result", "buttons", "log"];
  const LONG = 80;

  const bytes = (value) => window.tidegate.values.bytes(value);
  const title = ({ kind, stream }) => (kind ? `${names[kind] || kind}${stream ? ` of ${stream}` : ""}` : "Operation");
  const holdsS = () => Number(document.getElementById("console").dataset.planHolds);
  const isStale = ({ plan }) => (window.tidegate.hubNow() - Date.parse(plan.at)) / 1000 > holdsS();

  function places(box) {
    if (!box.firstChild) for (const name of PARTS) box.append(make("div", `operation-${name}`));
    return Object.fromEntries(PARTS.map((name, index) => [name, box.children[index]]));
  }
  function draw(box, state, acts) {
    const part = places(box), { operation } = state, told = operation && !operation.isUnread ? operation : null;
    redraw(part.head, JSON.stringify([told && headKey(told), state.words, state.asked, !operation]), () => head(told, state));
    redraw(part.said, JSON.stringify([state.reason, state.unread, state.isBusy && !told, told && told.state, told && told.reason, told && told.waits_for, told && others(told).map((each) => [each.id, each.state])]), () => said(told, state, acts));
    redraw(part.plan, JSON.stringify(told && told.plan && [told.plan.fingerprint, told.state === "planned", told.state]), () => (told && told.plan ? plan(told) : []));
    redraw(part.confirm, JSON.stringify(told && told.state === "planned" && [told.id, told.plan.fingerprint, isStale(told), state.isBusy]), () => (told && told.state === "planned" ? confirmation(told, state, acts) : []));
    const at = scrolled(part.progress);
    redraw(part.progress, JSON.stringify(told && told.plan && told.state !== "planned" && [told.state, told.stages]), () => (told && told.plan && told.state !== "planned" ? progress(told) : []));
    follow(part.progress, at);
    redraw(part.result, JSON.stringify(told && [told.result, told.state, told.stages.map((each) => each.result)]), () => (told ? result(told) : []));
    redraw(part.buttons, JSON.stringify(told && [told.state, told.wish, told.undo !== null, told.undone_by, state.isBusy]), () => (told ? buttons(told, state, acts) : []));
    drawLog(part.log, told, state, acts);
  }
  /* A list that is drawn anew stays where somebody scrolled it to; otherwise what runs is in view. */
  function scrolled(box) {
    const list = box.querySelector(".operation-scrolls");
    return list ? { list, top: list.scrollTop, isMoved: list.scrollTop !== Number(list.dataset.top || 0) || list.dataset.isMoved === "yes" } : null;
  }
  function follow(box, before) {
    const list = box.querySelector(".operation-scrolls");
    if (!list || (before && before.list === list)) return;
    if (before && before.isMoved) {
      list.scrollTop = before.top;
      list.dataset.isMoved = "yes";
      return;
    }
    const row = list.querySelector("[data-is-now]");
    if (row) list.scrollTop = row.offsetTop - list.clientHeight / 2;
    list.dataset.top = list.scrollTop;
  }
  const headKey = ({ id, kind, stream, state, wish, asked, why, by, confirmed_by: confirmed, undoes, undone_by: undone, cli }) => [id, kind, stream, state, wish, asked, why, by, confirmed, undoes, undone, cli];

  function head(operation, state) {
    const line = make("div", "operation-title"), { asked } = state, about = operation || (asked ? { kind: asked.kind, stream: asked.asked.stream || "" } : { kind: "", stream: "" });
    const heading = make("h2", "", state.words.title || title(about));
    heading.id = "operate-title";
    line.append(heading);
    if (operation) {
      const badge = make("span", "badge", operation.wish !== "run" && !window.tidegate.operate.isEnded(operation) ? `${operation.state}, to ${operation.wish}` : operation.state);
      badge.dataset.state = operation.state;
      line.append(badge);
    }
    const cli = (operation && operation.cli) || state.words.cli;
    if (cli) line.append(copyButton(cli));
    return operation ? [line, facts(operation)] : [line];
  }
  function facts(operation) {
    const list = make("div", "operation-facts quiet");
    const add = (...what) => list.append(...what, " ");
    const link = (id) => window.tidegate.make.link(id, `/operations/${encodeURIComponent(id)}`);
    add(link(operation.id), ` \u00b7 asked for by ${operation.by}, `, window.tidegate.moments.moment("", operation.at));
    if (operation.confirmed_by) add(`\u00b7 confirmed by ${operation.confirmed_by}`);
    for (const [what, other] of [["undoes", operation.undoes], ["undone by", operation.undone_by]]) {
      if (other) add(`\u00b7 ${what} `, link(other));
    }
    if (operation.schedule) add(`\u00b7 by schedule ${operation.schedule}`);
    const asked = make("div", "operation-asked");
    for (const [name, value] of Object.entries(operation.asked)) {
      if (value === null || (Array.isArray(value) && !value.length)) continue;
      const chip = asked.appendChild(make("span", "chip"));
      chip.append(`${name.replaceAll("_", " ")} `, make("strong", "", window.tidegate.values.short(value, LONG)));
    }
    if (operation.why) asked.append(make("span", "quiet", `\u201c${operation.why}\u201d`));
    const box = make("div");
    box.append(list, asked);
    return box;
  }

  function said(operation, state, acts) {
    const parts = [], box = (kind, ...what) => { const made = make("div", "judgement"); made.dataset.state = kind; made.append(...what); parts.push(made); };
    if (state.unread) box("refused", make("p", "", state.unread));
    if (!operation && state.operation && !state.unread) parts.push(make("p", "quiet", "Reading \u2026"));
    if (operation) for (const each of others(operation)) parts.push(beside(each));
    if (!operation && state.isBusy) parts.push(make("p", "quiet", "Asking for the plan \u2026"));
    if (operation && operation.state === "planning") parts.push(make("p", "quiet", "The plan is being made; nothing is done yet \u2026"));
    if (operation && operation.waits_for) box("open", make("strong", "", "Waits"), make("p", "", operation.waits_for));
    if (operation && operation.reason) box(operation.state === "failed" ? "refused" : "open", make("strong", "", operation.state === "failed" ? (operation.confirmed_at ? "It failed" : "It can\u2019t be done") : "Why"), make("p", "", operation.reason));
    if (state.reason) {
      const again = make("button", "copy", "Try again");
      again.type = "button";
      again.addEventListener("click", acts.again);
      box("refused", make("strong", "", "Refused"), make("p", "", state.reason), ...(operation ? [] : [again]));
    }
    for (const each of parts) each.setAttribute("role", "status");
    return parts;
  }

  /* Whether two meet is known when one is confirmed: what is under way in the same stream is said before. */
  function others(operation) {
    const update = window.tidegate.latest.get("operations");
    if (operation.state !== "planned" || !update) return [];
    return update.data.operations.filter((each) => each.id !== operation.id && each.stream === operation.stream && ["queued", "running", "paused"].includes(each.state));
  }
  function beside(each) {
    const line = make("p", "part-reason", `Under way in ${each.stream}: ${(names[each.kind] || each.kind).toLowerCase()} `);
    line.append(window.tidegate.make.link(each.id, `/operations/${encodeURIComponent(each.id)}`), ` of ${each.by}, ${each.state}. If both touch the same partitions, this one has to wait for its end.`);
    return line;
  }

  function plan(operation) {
    const { plan: of } = operation, isOpen = operation.state === "planned";
    const figures = make("div", "totals");
    for (const [text, name] of [[exact(of.rows), "rows"], [bytes(of.bytes), ""], [exact(of.partitions), "partitions"], [exact(of.stages.length), of.stages.length === 1 ? "stage" : "stages"], [of.seconds === null ? null : `about ${show().seconds(of.seconds)}`, ""]]) {
      if (text === null) continue;
      const figure = figures.appendChild(make("div"));
      figure.append(make("span", "big", text), make("span", "quiet", name ? ` ${name}` : ""));
    }
    const notes = make("ul", "operation-notes");
    for (const note of of.notes) notes.append(make("li", "", note));
    const inside = [figures, ...(of.notes.length ? [notes] : []), ...preview(operation)];
    if (isOpen && !of.stages.length) return [make("h3", "", "Nothing is due: there is nothing to confirm"), ...inside.slice(1)];
    if (isOpen) return [make("h3", "", "What will change; nothing is done yet"), ...inside, stageTable(operation)];
    const box = make("details"), summary = make("summary", "", `The plan: ${window.tidegate.values.count(of.stages.length, "stage")}${of.rows === null ? "" : `, ${exact(of.rows)} rows`}`);
    box.append(summary, ...inside);
    return [box];
  }
  function preview(operation) {
    const { plan: { preview: of }, kind } = operation;
    if (!of || !Object.keys(of).length) return [];
    const own = window.tidegate.operate.previews[kind];
    const box = make("div", "operation-preview");
    box.append(...(own ? own(of, operation) : [window.tidegate.values.tree(of)]));
    return [box];
  }

  function stageTable({ plan: of, stages, state }) {
    const isPlanned = state === "planned", found = new Map(stages.map((each) => [each.key, each]));
    const table = make("table", "operation-stages"), top = table.createTHead().insertRow(), body = table.createTBody();
    for (const text of isPlanned ? ["stage", "rows", "size", "about"] : ["stage", "state", "done", "took", ""]) top.append(make("th", ["rows", "size", "about", "done", "took"].includes(text) ? "number" : "", text));
    for (const stage of of.stages) body.append(isPlanned ? plannedRow(stage) : stageRow(stage, found.get(stage.key)));
    const box = make("div", "scrolls operation-scrolls");
    box.append(table);
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "Stages");
    return box;
  }
  function plannedRow(stage) {
    const row = make("tr");
    row.append(make("td", "", stage.title), make("td", "number", exact(stage.rows) || "\u2013"), make("td", "number", bytes(stage.bytes) || "\u2013"), make("td", "number", stage.seconds === null ? "\u2013" : show().seconds(stage.seconds)));
    row.title = stage.key;
    return row;
  }
  function stageRow(stage, progress) {
    const row = make("tr"), of = progress || { state: "waiting", done: null, total: null, unit: "", note: "", result: {} };
    const state = make("td", "", of.state), done = of.done === null ? "\u2013" : `${exact(of.done)}${of.total === null ? "" : ` of ${exact(of.total)}`}${of.unit ? ` ${of.unit}` : ""}`;
    state.dataset.stage = of.state;
    const took = of.started_at ? ((of.ended_at ? Date.parse(of.ended_at) : window.tidegate.hubNow()) - Date.parse(of.started_at)) / 1000 : null;
    row.append(make("td", "", stage.title), state, make("td", "number", done), make("td", "number", took === null ? "\u2013" : window.tidegate.moments.lasting(Math.max(0, took))), make("td", "quiet", of.note || ""));
    row.dataset.key = stage.key;
    if (of.state === "running") row.dataset.isNow = "yes";
    return row;
  }

  /* 0 to 1: each stage counts by the rows that were planned for it, and one while these are not known. */
  function share({ plan: of, stages }) {
    const known = of.stages.every((each) => each.rows !== null), found = new Map(stages.map((each) => [each.key, each]));
    let whole = 0, done = 0;
    for (const { key, rows } of of.stages) {
      const weight = known ? rows + 1 : 1, at = found.get(key);
      whole += weight;
      if (at && at.state === "done") done += weight;
      else if (at && at.total) done += (weight * Math.min(at.done, at.total)) / at.total;
    }
    return whole ? done / whole : 0;
  }
  /* How fast, and how long still if it goes on like this: told once there is something to tell it from. */
  function speed(operation, of) {
    if (operation.state !== "running") return "";
    const rate = window.tidegate.operate.rate(operation.id), gone = (window.tidegate.hubNow() - Date.parse(operation.started_at)) / 1000;
    const left = of > 0.05 && gone > 5 ? `, about ${show().seconds((gone * (1 - of)) / of)} left` : "";
    return `${rate === null || rate === 0 ? "" : `, ${show().number(rate)} rows/s`}${left}`;
  }
  function progress(operation) {
    const { stages, state } = operation, of = share(operation), bar = make("div", "bar"), inner = bar.appendChild(make("i"));
    inner.style.width = `${100 * of}%`;
    bar.dataset.state = state;
    for (const [name, value] of [["role", "progressbar"], ["aria-valuemin", 0], ["aria-valuemax", 100], ["aria-valuenow", Math.round(100 * of)], ["aria-label", "Progress"]]) bar.setAttribute(name, value);
    const done = stages.filter((each) => each.state === "done").length;
    const words = make("p", "quiet", `${exact(done)} of ${exact(operation.plan.stages.length)} stages done, ${Math.floor(100 * of)} %${speed(operation, of)}`);
    return [bar, words, ...window.tidegate.operateMatrix.matrix(operation), stageTable(operation)];
  }

  function result(operation) {
    const { result: whole, stages } = operation;
    if (!Object.keys(whole).length && !stages.some((each) => Object.keys(each.result).length)) return [];
    const own = window.tidegate.operate.results[operation.kind];
    if (!own && !Object.keys(whole).length) return [];
    return [make("h3", "", window.tidegate.operate.isEnded(operation) ? "What came of it" : "What was found so far"), ...(own ? own(operation.result, operation) : [window.tidegate.values.tree(operation.result)])];
  }

  function confirmation(operation, state, acts) {
    if (!operation.plan.stages.length) return [];
    const { plan: of, kind, id } = operation, box = make("form", "operation-confirmation"), command = `tidegate operations confirm ${id}`;
    if (isStale(operation)) {
      box.append(make("p", "", "This plan is too old to be confirmed: make it again."), button("Plan again", acts.again, "plan", operation.stream, state.isBusy));
      return [box];
    }
    const label = make("label"), input = make("input", "field"), go = button(`Confirm the ${(names[kind] || kind).toLowerCase()}`, null, operation.undoes ? "approve" : NEEDS[kind] || "operate", operation.stream, true);
    label.append("Type ", make("code", "", of.confirmation), " to confirm ", input);
    Object.assign(input, { type: "text", autocomplete: "off", spellcheck: false, name: "confirmation" });
    Object.assign(go, { type: "submit" });
    go.dataset.operateDo = "confirm";
    const matches = () => input.value.trim() === of.confirmation;
    input.addEventListener("input", () => { go.disabled = !matches() || state.isBusy; });
    box.addEventListener("submit", (event) => { event.preventDefault(); if (matches()) acts.confirm(input.value.trim()); });
    box.append(label, go, copyButton(command), make("span", "quiet", `holds until ${show().clock(new Date(Date.parse(of.at) + 1000 * holdsS()))}`));
    setTimeout(() => { if (box.closest("dialog") && document.activeElement !== input) input.focus(); });
    return [box];
  }

  function button(label, does, needs, stream, isOff) {
    const made = make("button", "copy", label);
    Object.assign(made, { type: "button", disabled: Boolean(isOff) });
    Object.assign(made.dataset, { needs, needsStream: stream });
    if (does) made.addEventListener("click", does);
    return made;
  }
  function buttons(operation, state, acts) {
    const line = make("div", "asks"), { state: is, wish, id } = operation, isWanted = (what) => wish === what;
    const add = (label, what, does) => {
      const made = button(label, does, "plan", operation.stream, state.isBusy);
      made.dataset.operateDo = what;
      line.append(made, copyButton(`tidegate operations ${what} ${id}`));
    };
    if (["queued", "running"].includes(is) && !isWanted("pause")) add("Pause", "pause", () => acts.act("pause"));
    if (is === "paused" || (isWanted("pause") && !window.tidegate.operate.isEnded(operation))) add("Resume", "resume", () => acts.act("resume"));
    if (!window.tidegate.operate.isEnded(operation) && !isWanted("cancel")) add(is === "planned" ? "Drop the plan" : "Cancel", "cancel", () => acts.act("cancel"));
    if (is === "done" && operation.undo && !operation.undone_by) add("Undo", "undo", acts.undo);
    if (["failed", "cancelled"].includes(is)) line.append(button("Plan again", acts.again, "plan", operation.stream, state.isBusy));
    return line.childElementCount ? [line] : [];
  }

  function drawLog(box, operation, state, acts) {
    if (!operation) return box.replaceChildren();
    if (!box.firstChild) {
      const whole = make("details", "operation-lines");
      whole.append(make("summary", "", "Log"), make("pre"));
      whole.open = state.isOpen.log;
      whole.addEventListener("toggle", () => acts.log(whole.open));
      box.append(whole);
    }
    const text = state.log.map((line) => (typeof line === "string" ? line : `${show().clock(line.at)}  ${line.text}`)).join("\n") || "Nothing yet.";
    const lines = box.querySelector("pre");
    if (lines.textContent !== text) lines.textContent = text;
    return undefined;
  }

  window.tidegate.operateView = { draw, title, share, names };
})();
