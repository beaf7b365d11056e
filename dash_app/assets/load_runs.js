/* Runs of load tests that there were, with their reports; two that are ticked are compared over the same axis. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const AGAIN_MS = 2500;
  const address = () => window.tidegate.address;
  const table = () => document.querySelector("[data-load-runs]");
  const known = (value, unit) => (value === null || value === undefined ? "unknown" : `${window.tidegate.show.number(value)}${unit}`);
  let held = null, compared = null, wanted = "", reason = null;

  const runs = () => held || [];
  const ticked = () => address().get("compare").split(",").filter(Boolean);
  const begun = (id) => (runs().find((each) => each.id === id) || { at: "" }).at;
  function tick(id, isOn) {
    const others = ticked().filter((each) => each !== id);
    address().set({ compare: (isOn ? [...others.slice(-1), id] : others).join(",") });
    list();
  }

  function list() {
    const box = table();
    if (!box) return;
    const { said, reason: why } = window.tidegate.inquire.past("loads", list, AGAIN_MS);
    held = Array.isArray(said) ? said : held;
    redraw(box.tBodies[0], JSON.stringify([held, held ? "" : why, ticked()]), () => (held && held.length ? held.map(row) : [none(box, why)]));
    compare();
  }
  function none(box, why) {
    const line = make("tr"), cell = line.appendChild(make("td", held ? "quiet" : "is-unknown", held ? "None has ended yet." : why || "Not known yet."));
    cell.colSpan = box.tHead.rows[0].cells.length;
    return line;
  }
  function row(each) {
    const line = make("tr"), pick = make("input"), first = make("td"), run = make("td"), begun = make("td"), verdict = make("td", "verdict-of", each.verdict), last = make("td");
    Object.assign(pick, { type: "checkbox", checked: ticked().includes(each.id) });
    pick.setAttribute("aria-label", `Compare ${each.id}`);
    pick.dataset.loadPick = each.id;
    pick.addEventListener("change", () => tick(each.id, pick.checked));
    first.append(pick);
    run.append(window.tidegate.make.link(each.id, address().href({ run: each.id })));
    begun.append(window.tidegate.moments.moment("", each.at));
    verdict.dataset.state = each.verdict;
    verdict.title = each.judgements.map((one) => `${one.about}: ${one.text}`).join("\n");
    last.append(reportOf(`${each.id}/report`));
    const { asked } = each, load = `${asked.shape}, ${asked.target}, ${asked.target === "hub" ? `${asked.users} clients` : `${window.tidegate.show.number(asked.rate)}/s`}, ${asked.lasts}`;
    line.dataset.loadRun = each.id;
    line.append(first, run, make("td", "", asked.stream), make("td", "", load), begun, make("td", "number", each.offered.toLocaleString("en")), make("td", "number", known(each.accepted_per_s, "")),
      make("td", "number", known(each.p99_ms, " ms")), make("td", "number", known(each.recovery_s, " s")), verdict, last);
    return line;
  }

  function reportOf(path) {
    return Object.assign(make("a", "more", "Report"), { href: window.tidegate.inquire.address(`loads/${path}`), target: "_blank", rel: "noopener" });
  }

  async function compare() {
    const box = document.querySelector('[data-load-compared="figures"]'), two = ticked().sort((one, other) => begun(one).localeCompare(begun(other)));
    if (!box) return;
    box.closest("section").hidden = two.length !== 2;
    if (two.length !== 2) return;
    const [before, after] = two, query = new URLSearchParams({ before, after }).toString();
    if (query !== wanted) {
      [wanted, compared, reason] = [query, null, null];
      const answer = await window.tidegate.inquire.ask(`loads/compare?${query}`);
      if (query !== wanted) return;
      [compared, reason] = [answer.said, answer.reason];
    }
    const command = `tidegate load compare ${before} ${after}`;
    redraw(document.querySelector('[data-load-compared="cli"]'), command, () => [window.tidegate.make.copyButton(command), reportOf(`compare/report?${query}`)]);
    redraw(box, JSON.stringify([wanted, Boolean(compared), reason]), () => (compared ? differences(compared) : [make("p", reason ? "is-unknown" : "quiet", reason || "Asking \u2026")]));
    if (compared) overlaid(compared);
  }
  function differences(of) {
    const made = make("table"), head = made.createTHead().insertRow(), body = made.createTBody();
    for (const title of ["median second at the peak", `before: ${of.before.id}`, `after: ${of.after.id}`, "", "n, of each"]) head.append(make("th", "", title));
    for (const each of of.differences) {
      const line = body.insertRow();
      line.append(make("td", "", each.figure), make("td", "", known(each.before, ` ${each.unit}`)), make("td", "", known(each.after, ` ${each.unit}`)), verdictOf(each), make("td", "quiet", `${each.n[0]} and ${each.n[1]}`));
      line.dataset.loadFigure = each.figure;
    }
    const scrolls = make("div", "scrolls");
    scrolls.append(made);
    return [scrolls, ...of.incomparable.map((why) => make("p", "load-incomparable", `Not comparable because ${why}.`)), ...of.notes.map((note) => make("p", "part-reason", note))];
  }
  function verdictOf({ is_better: isBetter, text }) {
    const cell = make("td", isBetter === null ? "quiet" : "verdict-of", text);
    if (isBetter !== null) cell.dataset.state = isBetter ? "good" : "bad";
    return cell;
  }
  function overlaid(of) {
    const sides = [of.before, of.after], end = Math.max(5, ...sides.flatMap((run) => run.seconds.filter((each) => each.accepted !== null).map((each) => each.t_s)));
    const traces = sides.flatMap((run, at) => {
      const x = run.seconds.map((each) => each.t_s);
      return [
        { name: `${run.id} accepted`, x, y: run.seconds.map((each) => each.accepted), colour: at, unit: "/s" },
        { name: `${run.id} p99 (right)`, x, y: run.seconds.map((each) => each.p99_ms), colour: at, unit: " ms", second: true, dash: "dot" },
      ];
    });
    window.tidegate.timechart.timechart(document.querySelector('[data-load-chart="compared"]'), { start: 0, end, second: " ms", traces });
  }

  window.tidegate.loadRuns = { runs };
  setInterval(() => { if (table() && window.tidegate.make) list(); }, 400);
})();
