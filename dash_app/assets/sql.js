/* The SQL page: engine, query, versions and limit are in the address; the answer stays until the next one. */
(function () {
  "use strict";
  const TABLES_AGAIN_MS = 60000, RUN_WITHIN_MS = 40000, DEFAULT_LIMIT = 1000, ADDRESS_AT_MOST = 6000;
  const FIRST = { clickhouse: "SHOW TABLES", lake: "SHOW TABLES" };
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what) => document.querySelector(`[data-sql-${what}]`);
  const params = () => new URLSearchParams(location.search);
  const isHere = () => Boolean(find("editor"));
  const exact = (value) => value.toLocaleString("en");
  const quoted = (text) => (/^[\w.:=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  let tables = { said: null, reason: null, askedAt: -Infinity, isAsking: false };
  let past = { said: null, reason: null, isAsked: false };
  let answer = null; /* { said, reason, at, isRunning, began } */
  let typing = 0;

  const engine = () => (params().get("engine") === "lake" ? "lake" : "clickhouse");
  const limit = () => Math.min(10000, Math.max(1, Math.round(Number(params().get("limit"))) || DEFAULT_LIMIT));
  const editor = () => document.getElementById("sql-text");
  function text() {
    const box = editor();
    return box ? box.value : params().get("q") || "";
  }
  /* What is being typed counts at the next choice at the latest. */
  function written() {
    if (!typing) return {};
    clearTimeout(typing);
    typing = 0;
    const fields = Array.from(document.querySelectorAll("[data-sql-field]"), (input) => [input.dataset.sqlField, input.value.trim()]);
    return { q: text(), ...Object.fromEntries(fields) };
  }
  function choose(changes) {
    if (!isHere()) return;
    const fits = ([name, value]) => [name, value && value.length <= ADDRESS_AT_MOST ? value : ""];
    window.tidegate.address.set(Object.fromEntries(Object.entries({ ...written(), ...changes }).map(fits)));
    tick();
  }
  /* `flights.events=12, shop.events=2026-03-01T12:00` */
  function versions() {
    const found = {};
    for (const each of (params().get("as_of") || "").split(",")) {
      const [table, ...rest] = each.split("="), version = rest.join("=").trim();
      if (table.trim() && version) found[table.trim()] = /^\d+$/.test(version) ? Number(version) : version;
    }
    return found;
  }
  const asked = () => ({ engine: engine(), sql: text().trim(), limit: limit(), ...(engine() === "lake" ? { as_of: versions() } : {}) });
  function command() {
    const { engine: which, sql, limit: most, as_of: as = {} } = asked();
    const flags = [which === "lake" ? " --engine lake" : "", ...Object.entries(as).map(([table, version]) => ` --as-of ${quoted(`${table}=${version}`)}`), most === DEFAULT_LIMIT ? "" : ` --limit ${most}`];
    return `tidegate sql ${quoted(sql || "...")}${flags.join("")}`;
  }

  async function run() {
    if (answer && answer.isRunning) return;
    choose({ q: text().trim() });
    const what = asked();
    if (!what.sql) return;
    const mine = { said: null, reason: null, at: null, isRunning: true, began: performance.now(), asked: what };
    answer = mine;
    tick();
    const { said, reason } = await window.tidegate.inquire.ask("sql", { method: "POST", body: what, within: RUN_WITHIN_MS });
    Object.assign(mine, { said, reason, isRunning: false, at: new Date(window.tidegate.hubNow()).toISOString() });
    past.isAsked = false;
    if (isHere()) tick();
  }
  async function loadTables() {
    if (tables.isAsking || performance.now() - tables.askedAt < TABLES_AGAIN_MS) return;
    Object.assign(tables, { isAsking: true, askedAt: performance.now() });
    const { said, reason } = await window.tidegate.inquire.ask("sql/tables", { within: 20000 });
    tables = { said: said || tables.said, reason, askedAt: performance.now(), isAsking: false };
    if (isHere()) paint();
  }
  async function loadPast() {
    if (past.isAsked) return;
    past.isAsked = true;
    const { said, reason } = await window.tidegate.inquire.ask("sql/history?limit=50");
    past = { said: said || past.said, reason, isAsked: true };
    if (isHere()) paint();
  }

  function tick() {
    if (!isHere()) { past.isAsked = false; return; }
    layOut();
    if (!document.hidden) { loadTables(); loadPast(); }
    paint();
  }
  /* Made here: what is typed is none of Dash's business. */
  function layOut() {
    redraw(find("editor"), "editor", () => {
      const box = make("textarea", "sql-text");
      Object.assign(box, { id: "sql-text", rows: 8, spellcheck: false, value: params().get("q") || FIRST[engine()] });
      box.setAttribute("aria-label", "SQL");
      return [box];
    });
    redraw(find("fields"), "fields", () => [
      field("as_of", "text", "as of: flights.events=12", "Tables as they were: stream.table=version, or =time; by commas"),
      field("limit", "number", String(DEFAULT_LIMIT), "Rows at most"),
    ]);
    for (const input of find("fields").querySelectorAll("input")) {
      const value = params().get(input.dataset.sqlField) || "";
      if (document.activeElement !== input && input.value !== value) input.value = value;
      if (input.dataset.sqlField === "as_of") input.hidden = engine() !== "lake";
    }
  }
  function field(name, type, placeholder, title) {
    const input = make("input", `field sql-${name}`);
    Object.assign(input, { type, placeholder, title });
    input.setAttribute("aria-label", title);
    input.dataset.sqlField = name;
    return input;
  }

  function paint() {
    for (const button of document.querySelectorAll("[data-sql-engine]")) {
      const isChosen = button.dataset.sqlEngine === engine();
      button.classList.toggle("is-chosen", isChosen);
      button.setAttribute("aria-pressed", String(isChosen));
    }
    const limits = tables.said && tables.said.limits[engine()];
    find("limits").textContent = limits ? `At most ${Object.entries(limits).map(([what, most]) => (what === "seconds" ? `${most} s` : `${most} ${what}`)).join(", ")}.` : "";
    find("run").disabled = Boolean(answer && answer.isRunning);
    redraw(find("cli"), command(), () => [window.tidegate.make.copyButton(command())]);
    paintTables();
    paintAnswer();
    paintPast();
  }
  function paintTables() {
    const box = find("tables"), found = tables.said && tables.said.engines[engine()];
    const reason = tables.reason || (tables.said && tables.said.reasons[engine()]);
    const open = Array.from(box.querySelectorAll("details[open]"), (each) => each.dataset.table);
    redraw(box, JSON.stringify([engine(), found, reason]), () => [
      ...(reason ? [make("p", "is-unknown", reason)] : []),
      ...(!found ? (reason ? [] : [make("p", "quiet", "Asking ...")]) : !found.length && !reason ? [make("p", "quiet", "There are no tables yet.")] : (found || []).map((each) => tableOf(each, open))),
    ]);
  }
  function tableOf({ name, columns, comment }, open) {
    const box = make("details", "sql-table"), summary = box.appendChild(make("summary", "", name)), list = box.appendChild(make("dl"));
    Object.assign(box.dataset, { table: name });
    box.open = open.includes(name);
    if (comment) summary.title = comment;
    const button = box.appendChild(make("button", "copy", "First rows"));
    button.type = "button";
    button.dataset.sqlAsk = engine() === "lake" ? `SELECT * FROM ${name} LIMIT 100` : `SELECT * FROM \`${name}\` LIMIT 100`;
    for (const column of columns) list.append(make("dt", "", column.name), make("dd", "quiet", column.type));
    return box;
  }
  function paintAnswer() {
    const said = find("said"), box = find("answer");
    redraw(find("age"), answer && answer.at ? answer.at : "", () => (answer && answer.at ? [window.tidegate.moments.moment("", answer.at)] : []));
    said.classList.toggle("is-refused", Boolean(answer && answer.reason));
    if (!answer) said.textContent = "Nothing was asked yet.";
    else if (answer.isRunning) said.textContent = `Running for ${window.tidegate.show.seconds((performance.now() - answer.began) / 1000)} ...`;
    else said.textContent = answer.reason || cost(answer.said);
    box.classList.toggle("is-stale", Boolean(answer && answer.isRunning));
    if (answer && answer.isRunning) return;
    if (answer && answer.said) window.tidegate.grid.show("sql", gridOf(answer.said));
    else window.tidegate.grid.hide("sql");
  }
  function cost({ rows, elapsed_s: elapsed, rows_read: read, bytes_read: size, truncated, versions: as }) {
    const told = [`${exact(rows.length)} ${rows.length === 1 ? "row" : "rows"}`, window.tidegate.show.seconds(elapsed)];
    told.push(read === null ? "rows read: unknown" : `${exact(read)} rows read${size ? ` of ${window.tidegate.show.number(size)}B` : ""}`);
    for (const [table, version] of Object.entries(as)) told.push(`${table} at version ${version}`);
    return `${told.join(", ")}${truncated ? `; ${truncated}` : ""}.`;
  }
  const isNumber = (type) => /^(Nullable\()?(U?Int|Float|Decimal|u?int|float|double|decimal)/.test(type);
  /* Values as they came: a number that JavaScript has none for is a text, and is ordered as a number all the same. */
  function gridOf({ columns, rows }) {
    const shownAs = (value) => (value === null ? make("span", "sql-null", "null") : typeof value === "object" ? JSON.stringify(value) : String(value));
    const fields = columns.map(({ name, type }, index) => ({
      field: `c${index}`, title: name, hint: type, isNumber: isNumber(type), flex: 1, width: 110, draw: (row) => shownAs(row[`c${index}`]),
    }));
    const items = rows.map((row, number) => ({ id: String(number), ...Object.fromEntries(row.map((value, index) => [`c${index}`, value])) }));
    return { columns: fields, rows: items, key: JSON.stringify(columns) };
  }
  function paintPast() {
    const box = find("history"), { said, reason } = past;
    redraw(box, JSON.stringify([said, reason]), () => {
      if (reason) return [make("p", "is-unknown", reason)];
      if (!said) return [make("p", "quiet", "Asking ...")];
      if (!said.length) return [make("p", "quiet", "Nothing yet.")];
      const list = make("ol", "sql-past");
      for (const each of said) {
        const line = list.appendChild(make("li")), button = line.appendChild(make("button", "as-link", each.sql));
        button.type = "button";
        Object.assign(button.dataset, { sqlAgain: each.sql, engine: each.engine, as: Object.entries(each.as_of).map(([table, version]) => `${table}=${version}`).join(", ") });
        button.title = each.reason || each.sql;
        const cells = [each.engine, each.reason ? "refused" : `${exact(each.rows)} rows, ${window.tidegate.show.seconds(each.elapsed_s)}`];
        line.append(...cells.map((cell) => make("span", each.reason ? "quiet is-refused" : "quiet", cell)), window.tidegate.moments.moment("", each.at));
      }
      return [list];
    });
  }

  function put(sql) {
    editor().value = sql;
    choose({ q: sql });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sql-engine], [data-sql-run], [data-sql-ask], [data-sql-again]");
    if (!button) return;
    const { sqlEngine, sqlAsk, sqlAgain } = button.dataset;
    if (sqlEngine) choose({ engine: sqlEngine === "clickhouse" ? "" : sqlEngine });
    else if (sqlAsk) { put(sqlAsk); run(); }
    else if (sqlAgain) { choose({ engine: button.dataset.engine === "lake" ? "lake" : "", as_of: button.dataset.as }); put(sqlAgain); editor().focus(); }
    else run();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("#sql-text, [data-sql-field]")) {
      event.preventDefault();
      run();
    }
  });
  document.addEventListener("input", (event) => {
    const input = event.target.closest("#sql-text, [data-sql-field]");
    if (!input) return;
    clearTimeout(typing);
    typing = setTimeout(() => choose({}), 300);
  });
  window.addEventListener("tidegate-again", () => { tables.askedAt = -Infinity; past.isAsked = false; tick(); });
  window.tidegate.painters.push((update) => { if (update.topic === "overview") tick(); return false; });
  setInterval(tick, 1000);
})();
