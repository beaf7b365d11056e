/* The quality page: gates as they are pushed, what may be ordered of one that has stopped, and every rule of the last verdict. */
(function () {
  "use strict";
  const moment = (...how) => window.tidegate.moments.moment(...how);
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what, name) => document.querySelector(`[data-quality-${what}="${name}"]`);
  const words = { passed: "passed", warned: "warned", let_through: "let through", diverted: "diverted", halted: "halted", misconfigured: "configuration error" };
  const exact = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en"));
  const percent = (share) => (share === null ? null : share === 0 ? "0 %" : `${(100 * share).toLocaleString("en", { maximumSignificantDigits: 2 })} %`);
  const gateName = ({ stage, table }) => (table ? `${stage} ${table}` : stage);
  const isHalted = ({ last }) => last !== null && ["halted", "misconfigured"].includes(last.outcome);
  const isPaused = ({ breaker }) => breaker !== null && breaker.state !== "closed";

  function quality(frame) {
    for (const stream of frame.streams) {
      const table = find("gates", stream.name);
      if (!table) continue;
      const asked = sure && sure.startsWith(`${stream.name} `) ? sure : "";
      redraw(table.tBodies[0], JSON.stringify([stream.gates, asked]), () => rowsOf(stream));
      window.tidegate.quality.rules(stream);
    }
    window.tidegate.moments.tellAges();
    return true;
  }

  /* One file has the suites of all stages: one mistake in it is told once, at the first of them. */
  function rowsOf({ name, gates }) {
    const told = new Set();
    return gates.flatMap((gate) => gateRows(name, gate, told));
  }
  function gateRows(stream, gate, told) {
    const row = make("tr"), { last } = gate;
    row.dataset.gate = gateName(gate);
    row.append(make("td", "gate-name", gateName(gate)), verdictCell(gate), make("td", "", gate.policy), suiteCell(gate), breakerCell(gate), timeCell(gate), orderCell(stream, gate));
    const more = [];
    const refused = gate.followed && gate.followed.refused;
    if (refused && !told.has(refused)) more.push(noteRow("refused", "Configuration error: the suite of now is not taken, the one above stays in use. ", refused));
    if (refused) told.add(refused);
    if (last && last.outcome !== "passed" && last.reason) more.push(noteRow(last.outcome, "", last.reason));
    if (isPaused(gate) && gate.breaker.reason) more.push(noteRow("open", "", gate.breaker.reason));
    return [row, ...more];
  }
  function noteRow(state, strong, text) {
    const row = make("tr", "gate-note"), cell = row.appendChild(make("td"));
    row.dataset.state = state;
    cell.colSpan = 7;
    const box = cell.appendChild(make("div", "note"));
    if (strong) box.append(make("strong", "", strong));
    box.append(text);
    return row;
  }

  function verdictCell({ last, is_stale: isStale, reason }) {
    const cell = make("td");
    if (!last) {
      cell.append(make("span", "is-unknown", "not judged yet"));
      cell.title = reason || "nothing has come to be judged";
      return cell;
    }
    const badge = cell.appendChild(make("span", "badge", words[last.outcome]));
    badge.dataset.state = last.outcome;
    cell.classList.toggle("is-old", isStale);
    const sample = last.judged < last.rows ? `, a sample of ${exact(last.judged)} of ${exact(last.rows)} rows` : `, ${exact(last.rows)} rows`;
    const said = cell.appendChild(make("div", "quiet", `${last.subject}${sample}, `));
    said.append(moment("", last.at));
    if (isStale) said.append(" (may have changed: nothing was judged since)");
    return cell;
  }

  function suiteCell({ followed, reason, last }) {
    const cell = make("td");
    if (!followed) {
      cell.append(make("span", reason === "this stage has no suite" ? "quiet" : "is-unknown", reason === "this stage has no suite" ? "none" : "unknown"));
      cell.title = reason || "";
      if (last) cell.append(make("div", "quiet", `last judged by ${last.suite}`));
      return cell;
    }
    cell.append(make("code", "", followed.suite));
    const line = cell.appendChild(make("div", "quiet", `${exact(followed.rules)} rules, `));
    line.append(moment("since ", followed.since));
    if (followed.refused) {
      const mark = line.appendChild(make("span", "is-unknown", ", a newer one is refused"));
      mark.title = followed.refused;
    }
    return cell;
  }

  function breakerCell(gate) {
    const { breaker, breaker_reason: why } = gate, cell = make("td");
    if (!breaker) {
      cell.append(make("span", why ? "is-unknown" : "quiet", why ? "unknown" : "\u2013"));
      cell.title = why || "this stage has none";
      return cell;
    }
    const badge = cell.appendChild(make("span", breaker.state === "closed" ? "quiet" : "badge", breaker.state));
    badge.dataset.state = breaker.state;
    if (!isPaused(gate)) return cell;
    const line = cell.appendChild(make("div", "quiet"));
    line.append(moment("for ", breaker.since, "for"), ", ");
    line.append(breaker.resumes_at ? moment("probes in ", breaker.resumes_at, "until") : "until an operator resumes");
    if (breaker.turned_away !== null) line.append(`; ${exact(breaker.turned_away)} of ${exact(breaker.seen)} were turned away`);
    return cell;
  }

  function timeCell({ share, share_of: count, stage }) {
    const cell = make("td", "number");
    const why = stage === "ingest" ? "its rules are part of route's query and have no time of their own" : "no verdict has said how long it took";
    window.tidegate.show.put(cell, percent(share), share === null ? why : `over the last ${count} verdicts`);
    return cell;
  }

  /* What each stage's gate understands, as controlplane/service/orders.py has it. */
  const allowed = { ingest: ["resume"], lake: ["resume", "pass", "divert"], rollup: ["resume", "pass"], serving: ["resume"] };
  const labels = { pass: "Let it pass", divert: "Divert it" };
  function orderCell(stream, gate) {
    const cell = make("td", "orders"), halted = isHalted(gate);
    if (!halted && !isPaused(gate)) return cell;
    for (const order of halted ? allowed[gate.stage] : ["resume"]) {
      const line = cell.appendChild(make("div", "order")), key = `${stream} ${gate.stage} ${order}`;
      const label = order === "resume" ? (halted ? "Try again" : "Resume") : labels[order];
      const button = line.appendChild(make("button", "copy", sure === key ? `Yes, ${label.toLowerCase()}` : label));
      Object.assign(button, { type: "button" }).dataset.needs = "operate";
      button.dataset.needsStream = stream;
      button.addEventListener("click", () => order_(stream, gate.stage, order));
      line.append(window.tidegate.make.copyButton(`tidegate gate ${order} ${stream} ${gate.stage}`));
    }
    if (gate.ordered) {
      const line = cell.appendChild(make("div", "quiet", `${gate.ordered.by} ordered: ${gate.ordered.order}, `));
      line.append(moment("", gate.ordered.at));
    }
    return cell;
  }

  /* To try again can't do harm; the others change what is kept of the data, so they are asked twice. */
  let sure = null;
  async function order_(stream, stage, order) {
    const key = `${stream} ${stage} ${order}`;
    if (order !== "resume" && sure !== key) {
      sure = key;
      return again();
    }
    sure = null;
    const said = find("said", stream), { reason } = await window.tidegate.inquire.post("gates/orders", { stream, stage, order });
    said.textContent = reason ? `Nothing was ordered: ${reason}` : `Ordered: ${order} ${gateName({ stage })} of ${stream}.`;
    said.dataset.state = reason ? "failed" : "ok";
    return again();
  }
  const again = () => { const held = window.tidegate.latest.get("quality"); if (held) quality(held.data); };

  window.tidegate.quality = { find, words, exact, percent, gateName, moment };
  window.tidegate.painters.push((update) => (update.topic === "quality" ? quality(update.data) : false));
})();
