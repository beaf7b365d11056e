/* The alerts page: incidents as alerts has them, asked anew when the overview says that something has changed; and what is done about
   them. Scripts are loaded in the order of their names: this one needs hub.js before it. */
(function () {
  "use strict";
  const ASK_AGAIN_MS = 10000, OLD_MS = 25000;
  const make = (...how) => window.tidegate.make.element(...how);
  const prose = (text) => window.tidegate.make.prose(text);
  const moment = (before, at) => window.tidegate.moments.moment(before, at);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what, name = "all") => document.querySelector(`[data-alerts-${what}="${name}"]`);
  const now = () => performance.now();
  const state = { list: null, one: null, sent: null, runbooks: new Map(), reason: null, askedAt: -Infinity, heardAt: null, version: null, isAsking: false, page: null };
  const spans = [["15m", "15 minutes"], ["1h", "an hour"], ["8h", "8 hours"], ["24h", "a day"], ["7d", "a week"]];

  const ask = (path, how) => window.tidegate.inquire.ask(`alerts/${path}`, how);
  const post = (path, body) => window.tidegate.inquire.post(`alerts/${path}`, body);

  async function load(page) {
    if (state.isAsking) return;
    Object.assign(state, { isAsking: true, askedAt: now(), page });
    const one = page === "all" ? null : await ask(`incidents/${encodeURIComponent(page)}`);
    const asked = page === "all" ? await ask("incidents") : one;
    if (page === "all" && asked.said && isOpen("events")) state.sent = (await ask("delivery")).said || state.sent;
    if (one && one.said && !state.runbooks.has(one.said.rule)) {
      const { said } = await ask(`runbooks/${one.said.rule}`);
      if (said) state.runbooks.set(one.said.rule, said);
    }
    state.isAsking = false;
    state.reason = asked.reason;
    if (asked.said) Object.assign(state, { [page === "all" ? "list" : "one"]: asked.said, heardAt: now() });
    if (one && one.status === 404) state.one = null;
    paint();
  }
  const isOpen = (what) => { const box = find(what); return Boolean(box && box.open); };

  function tick() {
    const root = document.querySelector("[data-alerts]");
    if (!root) return;
    const page = root.dataset.alerts, alerts = counted();
    if (page !== state.page) Object.assign(state, { one: null, askedAt: -Infinity });
    fields();
    const isNew = alerts !== null && alerts.version !== state.version;
    if (!document.hidden && (isNew || now() - state.askedAt > ASK_AGAIN_MS)) {
      state.version = alerts ? alerts.version : state.version;
      load(page);
    }
    paint();
  }
  function counted() {
    const update = window.tidegate.latest.get("overview");
    return update ? update.data.alerts : null;
  }

  /* The number beside the page's name, on every page. */
  function badge() {
    const element = find("count"), alerts = counted();
    if (!element || !window.tidegate.latest.has("overview")) return;
    element.hidden = alerts !== null && alerts.open === 0;
    element.textContent = alerts === null ? "?" : String(alerts.open);
    element.title = alerts === null ? "how many incidents are open is not known" : `${alerts.open} open, ${alerts.critical} critical, ${alerts.acknowledged} acknowledged`;
    element.dataset.state = alerts === null ? "unknown" : alerts.critical > alerts.acknowledged ? "critical" : "open";
  }

  function paint() {
    const root = document.querySelector("[data-alerts]");
    if (!root) return;
    const why = find("reason"), isOld = state.heardAt !== null && now() - state.heardAt > OLD_MS;
    why.hidden = !state.reason && !isOld;
    why.textContent = state.reason ? `Unknown: ${state.reason}.` : isOld ? "This is old: nothing new has been heard." : "";
    root.classList.toggle("is-old", (Boolean(state.reason) || isOld) && state.heardAt !== null);
    if (root.dataset.alerts === "all") all();
    else one(root.dataset.alerts);
  }

  function all() {
    if (!state.list) return;
    const { open, past, quiets, delivery } = state.list;
    const count = find("open-count");
    window.tidegate.show.put(count, state.reason ? null : open.length ? `${open.length} open` : "nothing is wrong", state.reason);
    count.dataset.state = state.reason ? "unknown" : open.length ? "unbalanced" : "balanced";
    const ended = past.map(({ resolved_at: at }) => at).sort().at(-1);
    rows("open", open, ["Nothing is wrong enough to wake somebody", ...(ended ? ["; the last incident ended ", moment("", ended)] : []), "."], 5, openRow, "all", ended);
    rows("past", past, "No incident yet.", 5, pastRow);
    rows("quiets", quiets, "None: every incident may page.", 5, quietRow);
    deliveryLine(delivery);
    if (state.sent) rows("sent", state.sent.deliveries, "Nothing has been sent.", 6, sentRow);
    const cli = find("window-cli");
    redraw(cli, windowCommand(), () => [window.tidegate.make.copyButton(windowCommand())]);
  }
  function rows(what, items, empty, columns, draw, name = "all", since = null) {
    const table = find(what, name);
    if (!table) return;
    redraw(table.tBodies[0], JSON.stringify([items, since]), () => {
      if (items.length) return items.map(draw);
      const row = make("tr"), cell = row.appendChild(make("td", "quiet"));
      cell.append(...[].concat(empty));
      cell.colSpan = columns;
      return [row];
    });
  }
  function row(...cells) {
    const made = make("tr");
    for (const cell of cells) made.append(cell instanceof Node && cell.tagName === "TD" ? cell : holding(cell));
    return made;
  }
  function holding(...inside) {
    const cell = make("td");
    cell.append(...inside);
    return cell;
  }

  function severity(incident) {
    const shown = make("span", "badge", incident.severity);
    shown.dataset.severity = incident.severity;
    return shown;
  }
  function linked(href, text) {
    return window.tidegate.make.link(text, href);
  }
  function named(incident) {
    const cell = holding(linked(`/alerts/${incident.id}`, incident.title), " ", make("code", "", incident.subject));
    cell.append(make("div", "quiet", incident.reason));
    return cell;
  }
  function openRow(incident) {
    const buttons = make("div", "asks");
    if (!incident.acknowledged_at) buttons.append(button("Acknowledge", () => acknowledge(incident.id)));
    buttons.append(window.tidegate.make.copyButton(`tidegate alerts ack ${incident.id}`));
    const made = row(severity(incident), named(incident), moment("", incident.opened_at), said(incident), holding(buttons));
    made.dataset.incident = incident.id;
    return made;
  }
  function pastRow(incident) {
    const lasted = (Date.parse(incident.resolved_at) - Date.parse(incident.opened_at)) / 1000;
    const { clock, seconds } = window.tidegate.show;
    const made = row(severity(incident), named(incident), clock(incident.opened_at), seconds(lasted), incident.resolved_by ? `resolved by ${incident.resolved_by}` : "well again");
    made.dataset.incident = incident.id;
    return made;
  }
  function said(incident) {
    const cell = make("td");
    if (incident.resolved_at) cell.append(incident.resolved_by ? `resolved by ${incident.resolved_by}` : "well again");
    else if (incident.acknowledged_by) cell.append(`taken on by ${incident.acknowledged_by}`);
    else if (incident.held_by) cell.append("nobody is woken");
    else if (incident.paged_at) cell.append(state.list && !state.list.delivery.pages ? "open; PagerDuty is not told" : "paged");
    else cell.append("open");
    const more = { well: "well now, not yet for long enough", unknown: "how it is now is not known" }[incident.condition];
    if (more && !incident.resolved_at) cell.append(make("div", incident.condition === "unknown" ? "is-unknown" : "quiet", more));
    if (incident.held_by && !incident.paged_at) cell.append(make("div", "quiet", incident.held_by));
    return cell;
  }
  function quietRow(quiet) {
    const { clock } = window.tidegate.show, isComing = Date.parse(quiet.start) > window.tidegate.hubNow();
    const until = holding(isComing ? `from ${clock(quiet.start)} ` : "", `until ${clock(quiet.end)}`);
    const what = holding(quiet.kind, make("div", "quiet", quiet.reason)), asks = make("div", "asks");
    asks.append(button("End it", () => done(ask(`windows/${quiet.id}`, { method: "DELETE" }), "Ended.")), window.tidegate.make.copyButton(`tidegate alerts windows end ${quiet.id}`));
    return row(what, holding(make("code", "", `${quiet.rule} ${quiet.subject}`)), until, quiet.by, holding(asks));
  }
  function sentRow(sent) {
    const { clock } = window.tidegate.show, shown = make("td", "", sent.state);
    shown.dataset.sent = sent.state;
    if (sent.next_at && sent.attempts) shown.append(make("div", "quiet", `again at ${clock(sent.next_at)}`));
    const of = sent.incident ? linked(`/alerts/${sent.incident}`, sent.summary || sent.incident) : sent.summary;
    return row(sent.action, of, clock(sent.made_at), shown, String(sent.attempts), sent.said);
  }
  function deliveryLine(delivery) {
    const line = find("delivery");
    const many = (count) => `${count} event${count === 1 ? "" : "s"}`;
    const parts = [];
    if (!delivery.pages) parts.push("not told: there is no routing key (TIDEGATE_PAGERDUTY_ROUTING_KEY), incidents are here only");
    else parts.push(delivery.reason ? `not reached, ${many(delivery.waiting)} wait: ${delivery.reason}` : delivery.waiting ? `${many(delivery.waiting)} on the way` : "told of everything");
    if (delivery.refused) parts.push(`${many(delivery.refused)} refused in the last day`);
    window.tidegate.show.put(line, parts.join("; "));
    line.dataset.state = delivery.reason || delivery.refused ? "failed" : delivery.pages ? "well" : "none";
  }

  function one(id) {
    const box = find("one", id), incident = state.one;
    if (!incident || incident.id !== id) {
      if (box && state.reason) { box.textContent = `Unknown: ${state.reason}.`; }
      return;
    }
    const { clock } = window.tidegate.show;
    redraw(box, JSON.stringify([incident.reason, incident.condition, incident.acknowledged_by, incident.resolved_at, incident.held_by, incident.paged_at]), () => {
      const head = make("div", "card-head"), title = head.appendChild(make("h2", "", `${incident.title} `));
      title.append(make("code", "", incident.subject));
      head.append(severity(incident));
      const line = make("p", "quiet"), since = moment("since ", incident.opened_at);
      line.append(since, ` (${clock(incident.opened_at)}), `, ...said(incident).childNodes, " \u00b7 ", linked(incident.page, "What it is about"));
      return [head, make("p", "alerts-why", incident.reason), line];
    });
    box.classList.remove("is-unknown");
    const asks = find("asks", id);
    asks.hidden = Boolean(incident.resolved_at);
    asks.querySelector('[data-alerts-ask="acknowledge"]').disabled = Boolean(incident.acknowledged_at);
    asks.querySelector('[data-alerts-ask="resolve"]').disabled = incident.condition === "wrong";
    asks.querySelector('[data-alerts-ask="resolve"]').title = incident.condition === "wrong" ? "it is still so: mend it, or silence it" : "";
    redraw(find("moments", id), JSON.stringify(incident.timeline), () => incident.timeline.map(happened));
    rows("sent", incident.deliveries, state.list && !state.list.delivery.pages ? "Nothing: there is no routing key." : "Nothing.", 6, sentRow, id);
    const text = state.runbooks.get(incident.rule);
    if (text) redraw(find("runbook", id), text, () => runbook(text));
  }
  function happened(each) {
    const item = make("li"), by = each.by ? ` by ${each.by}` : "";
    item.dataset.what = each.what;
    item.append(make("time", "quiet", window.tidegate.show.clock(each.at)), make("strong", "", `${each.what}${by}`), make("span", "", each.text));
    return item;
  }

  /* The little of Markdown that runbooks use: headings, lists, code, paragraphs; each as an element, never as HTML. */
  function runbook(text) {
    const built = [];
    let list = null;
    for (const block of text.split("\n")) {
      const heading = /^(#+) (.*)/.exec(block), point = /^(-|\d+\.) (.*)/.exec(block);
      if (heading) {
        if (heading[1].length > 1) built.push(make("h3", "", heading[2]));
        list = null;
      } else if (point) {
        const tag = point[1] === "-" ? "ul" : "ol";
        if (!list || list.tagName.toLowerCase() !== tag) { list = make(tag); built.push(list); }
        list.appendChild(make("li")).append(...prose(point[2]));
      } else if (!block.trim()) {
        if (!list) built.push(null);
      } else if (list && list.lastChild && /^\s/.test(block)) {
        list.lastChild.append(" ", ...prose(block.trim()));
      } else {
        list = null;
        const last = built.at(-1);
        if (last && last.tagName === "P") last.append(" ", ...prose(block));
        else { const paragraph = make("p"); paragraph.append(...prose(block)); built.push(paragraph); }
      }
    }
    return built.filter(Boolean);
  }
  /* Inputs are this page's own; who somebody is is kept in this browser. */
  function fields() {
    for (const box of document.querySelectorAll("[data-alerts-field]:empty")) {
      const { alertsField: name, kind, value, atMost } = box.dataset;
      const input = box.appendChild(make(kind === "select" ? "select" : "input"));
      input.dataset.field = name;
      if (kind === "select") {
        for (const [span, words] of spans) { const option = input.appendChild(make("option", "", words)); option.value = span; }
        window.tidegate.kept.field(input, name, "1h");
        continue;
      }
      input.type = kind;
      window.tidegate.kept.field(input, name, value);
      if (Number(atMost)) input.maxLength = Number(atMost);
    }
    for (const box of document.querySelectorAll("[data-alerts-cli]")) {
      redraw(box.querySelector(".cli") || box.appendChild(make("span", "cli")), box.dataset.alertsCli, () => [window.tidegate.make.copyButton(box.dataset.alertsCli)]);
    }
  }
  const typed = (name) => { const input = document.querySelector(`[data-field="${name}"]`); return input ? input.value.trim() : ""; };
  function windowCommand() {
    const parts = ["tidegate alerts windows add", `--for ${typed("window_for") || "1h"}`];
    if (typed("start")) parts.push(`--from ${typed("start")}:00Z`);
    for (const name of ["rule", "subject", "reason"]) if (typed(name) && typed(name) !== "*") parts.push(`--${name} '${typed(name).replaceAll("'", "'\\''")}'`);
    return parts.join(" ");
  }

  function button(text, act) {
    const made = make("button", "copy", text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }
  async function done(answering, words) {
    const line = find("said"), { said: answer, reason } = await answering;
    line.textContent = reason ? `Not done: ${reason}.` : typeof words === "function" ? words(answer) : words;
    line.dataset.state = reason ? "failed" : "done";
    state.askedAt = -Infinity;
    tick();
  }
  const acknowledge = (id) => done(post(`incidents/${id}/acknowledge`, {}), "Acknowledged.");
  const asks = {
    test: () => done(post("test", {}), (made) => (made.pages ? `A test page is on its way: ${made.id}.` : "Nobody is told: there is no routing key. It is among the past incidents.")),
    window: () => {
      const start = typed("start");
      const wanted = { for: typed("window_for"), rule: typed("rule") || "*", subject: typed("subject") || "*", reason: typed("reason") };
      return done(post("windows", start ? { ...wanted, start: `${start}:00Z` } : wanted), "Planned.");
    },
    acknowledge: (id) => acknowledge(id),
    silence: (id) => done(post(`incidents/${id}/silence`, { for: typed("silence_for"), reason: typed("because") }), "Silenced."),
    resolve: (id) => done(post(`incidents/${id}/resolve`, {}), "Resolved."),
  };
  document.addEventListener("click", (event) => {
    const asked = event.target.closest("[data-alerts-ask]"), root = document.querySelector("[data-alerts]");
    if (asked && root) asks[asked.dataset.alertsAsk](root.dataset.alerts);
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.dataset && event.target.dataset.alertsEvents && event.target.open) { state.askedAt = -Infinity; tick(); }
  }, true);
  window.addEventListener("tidegate-again", () => { state.askedAt = -Infinity; tick(); });
  window.tidegate.painters.push((update) => {
    if (update.topic === "overview") { badge(); tick(); }
    return false;
  });
  setInterval(() => { if (window.tidegate.show) { badge(); tick(); } }, 1000);
})();
