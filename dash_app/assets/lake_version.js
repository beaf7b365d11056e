/* One version of a table: what its commit was, its rows as of then, what another version has that it has not, and back to it. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const of = () => window.tidegate.lakeVersions;
  const exact = (value) => (value === null || value === undefined ? null : value.toLocaleString("en"));
  const quoted = (text) => (/^[\w.:/=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const LIMIT = 100;
  const count = (...how) => window.tidegate.values.count(...how);
  let answer = null; /* { key, said, reason, isAsking } of what `show` asks for */
  let then = "replay", why = "", where = null; /* as typed, until it is asked for */

  const place = (what) => document.querySelector(`[data-lake-${what}]`);
  function paint() {
    const box = place("version");
    if (!box || !of().stream()) return;
    const { table, version, other, show, where: asked } = of().chosen(), held = of().held(table), one = version === null ? null : of().find(table, version);
    redraw(box, JSON.stringify([of().stream(), table, version, one, held && held.newest, Boolean(held)]), () => (version === null ? [nothing()] : one ? detail(table, one, held) : [make("p", "quiet", held ? `${table} has no version ${version} in its log; what can be read: ${held.readable}.` : "Reading the lake\u2019s log \u2026")]));
    const key = JSON.stringify([of().stream(), table, version, other, show, asked]);
    if (show && version !== null && (!answer || answer.key !== key)) load(key);
    if (!show) answer = null;
    redraw(place("shown"), JSON.stringify([answer, show]), () => (show && answer ? shown(show) : []));
  }
  function nothing() { return make("p", "quiet", "Choose a version: by a click, or with Tab, the arrows and Enter. Shift chooses a second one of the same table to compare with."); }

  async function load(key) {
    const { table, version, other, show, where: asked } = of().chosen(), stream = of().stream();
    answer = { key, said: null, reason: null, isAsking: true };
    const path = show === "diff" ? `diff?before=${Math.min(version, other)}&after=${Math.max(version, other)}` : `rows?version=${version}&limit=${LIMIT}${asked ? `&where=${encodeURIComponent(asked)}` : ""}`;
    const { said, reason } = await of().ask(`${stream}/${table}/${path}`);
    if (!answer || answer.key !== key) return;
    answer = { key, said, reason, isAsking: false };
    paint();
  }

  const button = (label, does) => {
    const made = make("button", "copy", label);
    made.type = "button";
    if (does) made.addEventListener("click", does);
    return made;
  };
  function detail(table, one, held) {
    const head = make("div", "card-head"), words = (of().acts[one.act] || of().acts.other)[1], badge = make("span", "badge", one.is_readable ? "can be read" : "can\u2019t be read");
    badge.dataset.state = one.is_readable ? "done" : "failed";
    badge.title = one.reason || "";
    head.append(make("h2", "", `${table} version ${one.version}`), make("span", "quiet", words), badge);
    return [head, facts(one), asks(table, one, held), ...(one.version < held.newest ? [rollback(table, one)] : [])];
  }
  function facts(one) {
    const list = make("dl", "values-tree lake-facts"), add = (name, ...what) => { list.append(make("dt", "", name)); list.appendChild(make("dd")).append(...what); };
    add("when", window.tidegate.moments.moment("", one.at), ` \u00b7 ${window.tidegate.show.clock(one.at)}`);
    add("what it did", `${one.operation}${of().told(one.changed)}, ${count(one.files_added, "file")} added, ${exact(one.files_removed)} taken out`);
    if (one.by) add("by operation", window.tidegate.make.link(one.by, `/operations/${encodeURIComponent(one.by)}`));
    if (one.releases) add("lets in", `the diverted batch ${one.releases}`);
    add("the table then", `${one.rows === null ? "unknown" : exact(one.rows)} rows, ${one.bytes === null ? "unknown size" : window.tidegate.values.bytes(one.bytes)}, ${count(one.files, "file")}`);
    if (one.offsets) add("source offsets", Object.entries(one.offsets).map(([partition, [first, end]]) => `${partition}: ${exact(first)}\u2013${exact(end)}`).join(", "));
    if (one.follows !== null) add("follows events", one.follows < 0 ? "none yet" : `up to version ${one.follows}`);
    if (!one.is_readable) add("why not", one.reason);
    return list;
  }
  function asks(table, one, held) {
    const line = make("div", "asks"), { stream, choose } = of(), index = held.items.indexOf(one), before = held.items[index + 1];
    const compare = (label, version) => line.append(button(label, () => choose({ with: version, show: "diff" })), window.tidegate.make.copyButton(`tidegate lake diff ${stream()} ${table} --from ${Math.min(version, one.version)} --to ${Math.max(version, one.version)}`));
    if (one.is_readable) line.append(button("Read rows as of it", () => choose({ show: "rows", with: null })), window.tidegate.make.copyButton(`tidegate lake read ${stream()} ${table} --version ${one.version}`));
    if (one.is_readable && before && before.is_readable) compare("What it changed", before.version);
    if (one.is_readable && held.newest !== one.version) compare("What has changed since", held.newest);
    line.append(window.tidegate.make.copyButton(`tidegate lake history ${stream()} ${table}`));
    line.lastChild.title = "The history as a command";
    return line;
  }

  /* A rollback is of the whole stream: from another table than events, to the time of the commit. */
  function rollback(table, one) {
    const box = make("form", "lake-rollback"), select = make("select", "field"), reason = make("input", "field"), { stream } = of(), isEvents = table === "events";
    const asked = () => ({ stream: stream(), ...(isEvents ? { version: one.version } : { to: one.at }), then: select.value });
    const cli = () => `tidegate rollback ${stream()} ${isEvents ? `--to-version ${one.version}` : `--to ${one.at}`} --then ${select.value}`;
    for (const [value, text] of [["replay", "replay from its offsets"], ["hold", "hold until an operator resumes"]]) select.append(new Option(text, value));
    select.value = then;
    Object.assign(reason, { type: "text", placeholder: "why", maxLength: 300, value: why });
    reason.setAttribute("aria-label", "Why it is rolled back");
    reason.addEventListener("input", () => { why = reason.value; });
    const copies = make("span"), label = make("label", "", "then "), go = button(isEvents ? `Roll ${stream()} back to here \u2026` : `Roll ${stream()} back to this time \u2026`);
    const write = () => copies.replaceChildren(window.tidegate.make.copyButton(cli()));
    select.addEventListener("change", () => { then = select.value; write(); });
    write();
    Object.assign(go, { type: "submit", disabled: !one.is_readable, title: one.is_readable ? "" : `It can\u2019t be rolled back to: ${one.reason}` });
    Object.assign(go.dataset, { lakeDo: "rollback", needs: "plan", needsStream: stream() });
    label.append(select);
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      window.tidegate.operate.start({ kind: "rollback", asked: asked(), ...(why.trim() ? { why: why.trim() } : {}) }, { title: `Roll ${stream()} back to ${isEvents ? `version ${one.version}` : window.tidegate.show.clock(one.at)}`, cli: cli() });
    });
    box.append(go, label, reason, copies, make("span", "quiet", one.is_readable ? "All its tables, its checkpoint and ClickHouse; a plan first." : go.title));
    return box;
  }

  function shown(show) {
    const { said, reason, isAsking } = answer, box = make("div", "lake-answer");
    const close = button("Close", () => of().choose({ show: null, with: null, where: null }));
    const head = make("div", "card-head"), { table, version, other } = of().chosen();
    head.append(make("h2", "", show === "diff" ? `${table}: from version ${Math.min(version, other)} to ${Math.max(version, other)}` : `${table} as of version ${version}`));
    head.appendChild(make("div", "verdict")).append(close);
    box.append(head);
    if (show === "rows") box.append(filter(table, version));
    if (isAsking) box.append(make("p", "quiet", "Reading \u2026"));
    if (reason) { const why = box.appendChild(make("div", "judgement")); why.dataset.state = "refused"; why.setAttribute("role", "status"); why.append(make("p", "", reason)); }
    if (said) box.append(...(show === "diff" ? differences(said) : rows(said)));
    return [box];
  }
  function filter(table, version) {
    const box = make("form", "asks"), input = make("input", "field"), copies = make("span"), { where: asked } = of().chosen();
    Object.assign(input, { type: "text", placeholder: "an SQL condition, such as tg_offset < 100", value: where === null ? asked : where, spellcheck: false, autocomplete: "off" });
    input.setAttribute("aria-label", "Which rows: an SQL condition");
    input.dataset.lakeWhere = table;
    const write = () => copies.replaceChildren(window.tidegate.make.copyButton(`tidegate lake read ${of().stream()} ${table} --version ${version}${input.value.trim() ? ` --where ${quoted(input.value.trim())}` : ""}`));
    input.addEventListener("input", () => { where = input.value; write(); });
    box.addEventListener("submit", (event) => { event.preventDefault(); where = null; of().choose({ where: input.value.trim() }); });
    const go = button("Read");
    go.type = "submit";
    write();
    box.append(input, go, copies);
    return box;
  }
  function rows({ items, columns, is_cut: isCut }) {
    const said = make("p", "quiet", isCut ? `The first ${exact(items.length)} rows` : count(items.length, "row"));
    if (!items.length) return [said];
    const table = window.tidegate.values.table(items, columns.map((each) => each.name), LIMIT);
    table.querySelectorAll("th").forEach((head, index) => { head.title = columns[index].type; });
    return [said, table];
  }

  function differences(said) {
    const { rows: counts, looked_at: looked } = said, parts = [], figures = make("div", "totals");
    if (said.is_same) return [make("p", "", "Both are made of the same files: nothing differs.")];
    for (const what of ["added", "removed", "changed", "same"]) {
      const figure = figures.appendChild(make("div"));
      figure.dataset.diff = what;
      figure.append(make("span", "big", exact(counts[what])), make("span", "quiet", ` ${what === "same" ? "the same, in other files" : what}`));
    }
    parts.push(figures);
    if (!looked.is_whole) parts.push(make("p", "part-reason", `A part was looked at: ${exact(looked.partitions)} of ${exact(looked.of)} partitions that differ${looked.each_nth_key > 1 ? `, each ${looked.each_nth_key}th key` : ""}. Rows that differ are of that part.`));
    if (!said.key.length) parts.push(make("p", "part-reason", "Nothing names a row of this table, so a row that was changed shows as one removed and one added."));
    const notes = [...said.columns_added.map((each) => `new column ${each}`), ...said.columns_removed.map((each) => `column ${each} is gone`), ...Object.entries(said.types_changed).map(([name, [old, fresh]]) => `${name}: ${old} has become ${fresh}`)];
    if (said.windows) notes.push(`${count(said.windows.differ, "window")} differ${said.windows.differ === 1 ? "s" : ""}, from ${said.windows.first} to ${said.windows.last}`);
    const files = said.files;
    notes.push(`${count(files.added, "file")} only in the later one, ${exact(files.removed)} only in the earlier one, ${exact(files.shared)} in both`);
    const list = make("ul", "operation-notes");
    list.append(...notes.map((note) => make("li", "", note)));
    parts.push(list);
    if (said.columns.length) parts.push(make("h3", "", "By column"), window.tidegate.values.table(said.columns.map(({ column, differs, largest }) => ({ column, "rows that differ": differs, "largest difference": largest })), ["column", "rows that differ", "largest difference"]));
    if (said.examples.changed.length) parts.push(make("h3", "", `Changed, ${exact(said.examples.changed.length)} of ${exact(counts.changed)}`), window.tidegate.values.table(said.examples.changed.flatMap(({ key, columns }) => Object.entries(columns).map(([column, [before, after]]) => ({ ...key, column, before: window.tidegate.values.text(before), after: window.tidegate.values.text(after) }))), [...said.key, "column", "before", "after"], 200));
    for (const what of ["added", "removed"]) {
      if (!said.examples[what].length) continue;
      const box = make("details");
      box.append(make("summary", "", `${what === "added" ? "Added" : "Removed"}, ${exact(said.examples[what].length)} of ${exact(counts[what])}`), window.tidegate.values.table(said.examples[what], Object.keys(said.examples[what][0])));
      box.open = !said.examples.changed.length;
      parts.push(box);
    }
    return parts;
  }

  window.tidegate.lakeVersion = { paint };
})();
