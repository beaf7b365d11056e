/* How are values written whose shape is only known when they come: rows of a table, a preview, a result? Always as text. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const COLUMNS = 16, ROWS = 50, DEEP = 6, MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/;

  function bytes(value) {
    if (value === null || value === undefined) return null;
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0, rest = value;
    while (Math.abs(rest) >= 1024 && unit < units.length - 1) { rest /= 1024; unit++; }
    return `${unit ? rest.toFixed(1) : rest} ${units[unit]}`;
  }
  const isPlain = (value) => value === null || typeof value !== "object";
  function text(value) {
    if (value === null || value === undefined) return "\u2013";
    if (typeof value === "number") return Number.isInteger(value) ? value.toLocaleString("en") : String(value);
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  function short(value, most) {
    const whole = Array.isArray(value) && value.every(isPlain) ? value.map((each) => (typeof each === "string" ? each : text(each))).join(", ") : typeof value === "number" ? String(value) : text(value);
    return whole.length > most ? `${whole.slice(0, most - 1)}\u2026` : whole;
  }
  const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
  const words = (name) => name.replaceAll("_", " ");

  function table(rows, columns = null, most = ROWS) {
    const named = columns || [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, COLUMNS);
    const made = make("table", "values"), top = made.createTHead().insertRow(), body = made.createTBody();
    const isNumber = (name) => rows.some((row) => typeof row[name] === "number");
    for (const name of named) top.append(make("th", isNumber(name) ? "number" : "", columns ? name : words(name)));
    for (const row of rows.slice(0, most)) {
      const line = body.insertRow();
      for (const name of named) {
        const cell = line.appendChild(make("td", typeof row[name] === "number" ? "number" : "", name in row ? text(row[name]) : ""));
        if (row[name] === null) cell.classList.add("quiet");
      }
    }
    const box = make("div", "scrolls");
    box.append(made);
    if (rows.length > most) box.append(make("p", "quiet", `and ${(rows.length - most).toLocaleString("en")} more`));
    return box;
  }
  function moment(value) {
    const made = make("span", "", window.tidegate.show.clock(value));
    made.title = value;
    return made;
  }
  function tree(value, depth = 0) {
    if (typeof value === "string" && MOMENT.test(value)) return moment(value);
    if (isPlain(value)) return make("span", "", text(value));
    if (depth > DEEP) return make("code", "", JSON.stringify(value));
    if (Array.isArray(value)) {
      if (!value.length) return make("span", "quiet", "none");
      if (value.every(isPlain)) return make("span", "", short(value, 400));
      if (value.every((each) => each !== null && typeof each === "object" && !Array.isArray(each))) return table(value);
      return make("code", "", JSON.stringify(value));
    }
    if (!Object.keys(value).length) return make("span", "quiet", "none");
    const list = make("dl", "values-tree");
    for (const [name, each] of Object.entries(value)) {
      const term = list.appendChild(make("dt", "", words(name))), detail = list.appendChild(make("dd"));
      if (!isPlain(each) && Object.keys(each).length) { term.classList.add("is-wide"); detail.classList.add("is-wide"); }
      detail.append(tree(each, depth + 1));
    }
    return list;
  }
  window.tidegate.values = { bytes, count, text, short, table, tree };
})();
