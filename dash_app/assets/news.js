/* What has happened while one looked elsewhere? An operation has ended, an incident was opened or resolved, a ledger's verdict has
   changed, suites were refused. It is seen by comparing each update with the one before; the first one is how things were. Kept for
   this tab, so that a reload loses nothing. A toast says it once, politely; the list behind the bell keeps it. */
(function () {
  "use strict";
  const KEPT = 50, TOASTS = 3, TOAST_MS = 8000, AGAIN_MS = 2000, KEY = "tidegate-news", ENDED = ["done", "failed", "cancelled"];
  const { whenShown } = window.tidegate, { element: make, link } = window.tidegate.make;
  const byId = (id) => document.getElementById(id);
  const held = { items: [], unread: 0, seen: {}, ...JSON.parse(sessionStorage.getItem(KEY) || "{}") };
  const keep = () => sessionStorage.setItem(KEY, JSON.stringify(held));

  /* item: { text, href, state } */
  function add(item) {
    held.items = [{ ...item, at: window.tidegate.hubNow() }, ...held.items].slice(0, KEPT);
    held.unread += 1;
    toast(item);
  }
  /* What was said of a thing before; undefined when it is heard of for the first time. */
  function change(kind, now) {
    const before = held.seen[kind];
    held.seen[kind] = now;
    return before;
  }

  function operations({ operations: all }) {
    const now = Object.fromEntries(all.map((each) => [each.id, each.state])), before = change("operations", now);
    if (!before) return;
    for (const each of all.filter(({ id, state }) => ENDED.includes(state) && before[id] && !ENDED.includes(before[id]))) {
      add({ text: `${each.kind.replaceAll("_", " ")} of ${each.stream || each.id}: ${each.state}`, href: `/operations/${encodeURIComponent(each.id)}`, state: each.state === "done" ? "good" : "bad" });
    }
  }
  function overview({ streams, problems, alerts }) {
    const verdicts = Object.fromEntries(streams.map(({ name, verdict }) => [name, verdict])), before = change("ledgers", verdicts) || {};
    const settled = { balanced: "adds up again", unbalanced: "does not add up", unknown: "is unknown" };
    for (const { name, verdict } of streams) {
      /* In flight is on the way from one to the other: only where it ends is news. What was never known has not changed. */
      if (verdict === "in_flight" || (verdict === "unknown" && !before[name])) verdicts[name] = before[name];
      else if (before[name] && before[name] !== verdict) add({ text: `The ledger of ${name} ${settled[verdict]}`, href: `/ledger/${name}`, state: verdict === "balanced" ? "good" : "bad" });
    }
    const refused = problems.filter(({ subject }) => subject.startsWith("suites of ")), known = change("suites", refused.map(({ subject }) => subject));
    if (known) for (const { subject, page } of refused.filter((each) => !known.includes(each.subject))) add({ text: `The ${subject} are refused`, href: page, state: "bad" });
    if (alerts && alerts.version !== held.seen.alerts) incidents(alerts.version);
  }
  /* A frame comes ten times a second: whoever does not answer is not asked as often. */
  let askedAt = -Infinity, isAsking = false;
  async function incidents(version) {
    if (isAsking || performance.now() - askedAt < AGAIN_MS) return;
    isAsking = true;
    const { said } = await window.tidegate.inquire.ask("alerts/incidents");
    isAsking = false;
    if (!said) { askedAt = performance.now(); return; }
    held.seen.alerts = version;
    const all = [...said.open, ...said.past], open = Object.fromEntries(said.open.map(({ id }) => [id, true])), before = change("incidents", open);
    if (!before) return keep();
    for (const each of all) {
      const isOpen = each.id in open, wasOpen = each.id in before;
      if (isOpen === wasOpen) continue;
      add({ text: `${isOpen ? "Incident" : "Resolved"}: ${each.title}`, href: `/alerts/${each.id}`, state: isOpen ? "bad" : "good" });
    }
    show();
    return keep();
  }

  function toast({ text, href, state }) {
    const box = byId("toasts"), one = make("div", "toast"), close = make("button", "toast-close", "\u00d7");
    one.dataset.state = state || "";
    one.append(href ? link(text, href, "toast-text") : make("span", "toast-text", text), close);
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => one.remove());
    /* Who reads it, or has come to it by the keyboard, is not hurried. */
    const leave = () => { if (one.matches(":hover, :focus-within")) setTimeout(leave, 2000); else one.remove(); };
    setTimeout(leave, TOAST_MS);
    box.append(one);
    while (box.children.length > TOASTS) box.firstChild.remove();
  }
  function show() {
    const button = byId("news-open");
    if (!button) return;
    const badge = button.querySelector(".count") || button.appendChild(make("span", "count"));
    badge.hidden = held.unread === 0;
    badge.textContent = held.unread > 9 ? "9+" : String(held.unread);
    button.setAttribute("aria-label", held.unread ? `News, ${held.unread} unread` : "News");
  }
  function listed() {
    const { moment } = window.tidegate.moments;
    if (!held.items.length) return [make("p", "quiet", "Nothing has happened since this tab was opened.")];
    const list = make("ul", "news-list");
    for (const { text, href, state, at } of held.items) {
      const item = list.appendChild(make("li"));
      item.dataset.state = state;
      item.append(link(text, href), moment("", new Date(at).toISOString()));
    }
    return [list];
  }

  window.tidegate.painters.push((update) => {
    if (update.topic !== "operations" && update.topic !== "overview") return false;
    (update.topic === "overview" ? overview : operations)(update.data);
    show();
    keep();
    return false;
  });
  whenShown(() => {
    const box = document.body.appendChild(make("div", "panel news-panel"));
    box.id = "news";
    box.setAttribute("aria-label", "News");
    box.addEventListener("click", (event) => { if (event.target.closest("a")) box.hidePopover(); });
    window.tidegate.panel(byId("news-open"), box, () => {
      box.replaceChildren(...listed());
      held.unread = 0;
      show();
      keep();
    });
    show();
  });
  window.tidegate.news = { toast };
})();
