/* The quality page's rules: of each gate's last verdict, every rule with what breaks it, and how it was before. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const page = () => window.tidegate.quality;
  const opened = new Map(); /* gate -> did somebody open or close it? */

  function rules(stream) {
    const box = page().find("rules", stream.name);
    const judged = stream.gates.filter(({ last }) => last !== null);
    const key = JSON.stringify([judged.map(({ last }) => [last.id, last.outcome]), window.tidegate.qualityHistory.gatesOf(stream.name)]);
    window.tidegate.make.redraw(box, key, () => (judged.length ? judged.map((gate) => block(stream.name, gate)) : [make("p", "quiet", "No gate has judged yet.")]));
  }

  function block(stream, gate) {
    const { last } = gate, name = page().gateName(gate), key = `${stream} ${name}`;
    const details = make("details", "rules"), broken = last.rules.filter(({ kept }) => kept === false), unknown = last.rules.filter(({ kept }) => kept === null);
    const said = [last.rules.length === 1 ? "1 rule" : `${last.rules.length} rules`, broken.length ? `${broken.length} ${gate.stage === "ingest" ? "broken by some rows" : "broken"}` : "", unknown.length ? `${unknown.length} not evaluated` : ""].filter(Boolean).join(", ");
    details.open = opened.has(key) ? opened.get(key) : broken.length + unknown.length > 0 || gate.stage === "ingest";
    details.dataset.rulesOf = name;
    const summary = details.appendChild(make("summary"));
    summary.append(make("strong", "", name), ` ${said}`);
    summary.addEventListener("click", () => opened.set(key, !details.open));
    if (!last.rules.length) return details.appendChild(make("p", "quiet", "This suite has no rule.")), details;
    const scrolls = details.appendChild(make("div", "scrolls")), table = scrolls.appendChild(make("table", "rule-table")), head = table.createTHead().insertRow();
    for (const [title, what] of [["rule", ""], ["expectation", "Great Expectations' type"], ["severity", "Only critical ones invoke the policy"], ["", ""], ["unexpected", "Share of the judged rows that break it"], ["examples", "Unexpected values, or what was observed"], ["before", "The time chosen above"]]) {
      head.append(Object.assign(make("th", "", title), { title: what }));
    }
    const worst = (rule) => (rule.kept === false ? 0 : rule.kept === null ? 1 : 2);
    table.createTBody().append(...[...last.rules].sort((a, b) => worst(a) - worst(b)).map((rule) => row(stream, gate, rule)));
    const docs = details.appendChild(make("a", "more quiet", "Data Docs of this gate"));
    Object.assign(docs, { href: window.tidegate.inquire.address(`quality/docs/index.html#${stream}-${gate.stage}${gate.table ? `-${gate.table}` : ""}`), target: "_blank", rel: "noopener" });
    return details;
  }

  function row(stream, gate, rule) {
    const made = make("tr"), name = make("td", "rule-name");
    made.dataset.rule = rule.rule;
    const link = name.appendChild(make("a", "more", rule.rule));
    link.href = `/quarantine/${stream}?rule=${encodeURIComponent(rule.rule)}`;
    link.title = "What it turned away";
    const state = make("td"), { word, look } = stateOf(gate, rule), badge = state.appendChild(make("span", "badge", word));
    badge.dataset.state = look;
    if (rule.reason) badge.title = rule.reason;
    const share = make("td", "number"), isCounted = rule.unexpected !== null && rule.judged;
    if (rule.unexpected === null) Object.assign(share, { textContent: "\u2013", title: rule.reason || "not about rows" });
    else window.tidegate.show.put(share, isCounted ? page().percent(rule.unexpected / rule.judged) : page().exact(rule.unexpected), `${page().exact(rule.unexpected)} of ${page().exact(rule.judged)} rows`);
    const before = make("td");
    before.append(window.tidegate.qualityHistory.ruleStrip(stream, gate, rule.rule));
    made.append(name, make("td", "quiet", rule.expectation.replace(/^expect_/, "").replaceAll("_", " ")), make("td", "", rule.severity), state, share, examples(rule), before);
    made.cells[1].title = rule.expectation;
    return made;
  }
  /* Rows that ingest turned away are what its gate is for; how many are too many is the verdict's to say. */
  function stateOf({ stage, policy, last }, { kept, severity }) {
    if (kept === null) return { word: "not evaluated", look: "misconfigured" };
    if (kept) return { word: "kept", look: "passed" };
    if (severity !== "critical") return { word: "broken", look: "warned" };
    const isTurnedAway = stage === "ingest" && policy !== "pass" && last.outcome !== "let_through";
    return isTurnedAway ? { word: "turned away", look: "warned" } : { word: "broken", look: "halted" };
  }
  function examples({ kept, examples: found, observed, reason }) {
    const cell = make("td", "examples");
    if (kept === null) cell.append(make("span", "is-unknown", reason || "not known why"));
    else if (observed !== null && kept === false) cell.append("observed ", make("code", "", observed));
    for (const each of found) cell.append(make("code", "chip", each));
    return cell;
  }

  window.tidegate.quality.rules = rules;
})();
