/* What was asked for and has not come? One way for every page: whatever a page asks of the control plane goes through `session.fetch`,
   which tells of it here. What waits is said after a while (and what is to be filled shows it, see states.css), what failed is
   said with since when, why and what to do, above the page's own words of what is not known. An answer that says no to what was typed (404, 409, 422) is the page's own. */
(function () {
  "use strict";
  const WAITS_MS = 300, SAID_AFTER_MS = 2500, LEFT_MS = 2000;
  /* The beginning of a path, and what is asked for there. */
  const NAMES = [["alerts", "Incidents"], ["audit/chain", "The chain of hashes"], ["audit", "Entries of the record"], ["gates", "Verdicts of gates"], ["lag/history", "Lag as it was"],
    ["lag", "Lag"], ["latency/histogram", "Latency"], ["latency", "Latency as it was"], ["ledger", "Verdicts as they were"], ["loads", "Load tests"], ["operations/schedules", "Schedules"], ["operations", "Operations"], ["quality/docs", "Data Docs"], ["quarantine", "What was turned away"], ["scaling", "Scaling as it was"],
    ["schemas", "Schemas"], ["spark", "Batches as they were"], ["sql/history", "What was asked before"], ["sql", "Tables"], ["tables", "Versions of the lake"], ["trials", "Trials"]];
  const pages = new Map(); /* address -> path -> { path, began, wasAnswered, failed: null | { since, reason, status } } */
  const now = () => performance.now();
  const make = (...how) => window.tidegate.make.element(...how);

  const pathOf = (url) => new URL(url, location.href).pathname.replace(/^.*\/api\/v1\//, "");
  const named = (path) => (NAMES.find(([start]) => path === start || path.startsWith(`${start}/`)) || [null, path])[1];
  const isFailure = (status) => status === 0 || status === 403 || status >= 500;

  /* A page that is left and come back to has not forgotten what failed there: it may not ask again at once. For a moment the address
     is that of the next page while the one before is still drawn, and asks: that is not of the next one. */
  let here = location.pathname, left = null; /* { pathname, until }: of the page that is left */
  const isLeaving = () => left !== null && now() < left.until;
  function ofPage(pathname = location.pathname) {
    if (!pages.has(pathname)) pages.set(pathname, new Map());
    return pages.get(pathname);
  }
  /* What is called with the answer, or with null when there was none. */
  function began(url) {
    const path = pathOf(url), asked = ofPage(isLeaving() ? left.pathname : location.pathname), state = asked.get(path) || { path, wasAnswered: false, failed: null };
    asked.set(path, Object.assign(state, { began: now() }));
    return (answer) => ended(state, answer);
  }
  async function ended(state, answer) {
    const status = answer ? answer.status : 0, reason = isFailure(status) ? await reasonOf(answer) : null;
    const since = state.failed ? state.failed.since : window.tidegate.hubNow();
    Object.assign(state, { began: null, wasAnswered: true, failed: reason === null ? null : { since, reason, status } });
    show();
  }
  async function reasonOf(answer) {
    if (!answer) return "the control plane does not answer";
    const said = await answer.json().catch(() => null);
    return said && typeof said.detail === "string" ? said.detail : `the control plane answers ${answer.status}`;
  }
  function whatToDo({ status }) {
    if (status === 403) return "Somebody with a role that may can give it to you (tidegate users).";
    if (status === 503) return "Its part may be starting, or held: the overview says so. It is asked for again by itself.";
    if (status === 0) return "Does it run (tidegate status), and can this browser reach it? It is asked for again by itself.";
    return "That is a mistake of the control plane: its log says more. It is asked for again by itself.";
  }

  /* One line for what fails alike: five panels that ask the same part would say the same five times. */
  function lines() {
    const failed = new Map(), waiting = [];
    for (const state of ofPage().values()) {
      if (state.failed) {
        const { reason, status } = state.failed, key = `${status} ${reason}`, held = failed.get(key) || { names: new Set(), since: state.failed.since, reason, status };
        held.names.add(named(state.path));
        held.since = Math.min(held.since, state.failed.since);
        failed.set(key, held);
      } else if (state.began !== null && now() - state.began > SAID_AFTER_MS) waiting.push(named(state.path));
    }
    return { failed: [...failed.values()], waiting: [...new Set(waiting)] };
  }
  function show() {
    const page = document.getElementById("page"), isWaiting = [...ofPage().values()].some((each) => each.began !== null && !each.wasAnswered && now() - each.began > WAITS_MS);
    if (!page || !window.tidegate.show || !window.tidegate.make) return;
    page.toggleAttribute("data-waits", isWaiting);
    page.setAttribute("aria-busy", String(isWaiting));
    const { failed, waiting } = lines();
    const box = boxOf(page);
    box.hidden = !failed.length && !waiting.length;
    /* Drawn anew only when it says something new: a screen reader hears each once. */
    window.tidegate.make.redraw(box, JSON.stringify([failed.map((each) => [...each.names, each.reason, each.status]), waiting]), () => [...failed.map(failure), ...(waiting.length ? [make("p", "", `Still waiting for: ${waiting.join(", ")}.`)] : [])]);
  }
  function boxOf(page) {
    let box = document.getElementById("unanswered");
    if (!box) {
      box = make("div", "unanswered");
      Object.assign(box, { id: "unanswered", hidden: true });
      box.setAttribute("role", "status");
      page.prepend(box);
    }
    return box;
  }
  function failure(each) {
    const line = make("p"), again = make("button", "copy", "Ask again");
    again.type = "button";
    again.addEventListener("click", () => window.dispatchEvent(new CustomEvent("tidegate-again")));
    line.append(make("strong", "", `Unknown: ${[...each.names].join(", ")}.`), ` ${sentence(each.reason)} Since ${window.tidegate.show.clock(each.since)}. ${whatToDo(each)} `, again);
    return line;
  }
  function sentence(text) {
    const said = text.charAt(0).toUpperCase() + text.slice(1);
    return /[.!?]$/.test(said) ? said : `${said}.`;
  }

  window.tidegate.address.onArrival(() => { left = { pathname: here, until: now() + LEFT_MS }; });
  window.addEventListener("tidegate-address", () => { here = location.pathname; show(); });
  let drawn = null;
  new MutationObserver(() => {
    const page = document.querySelector("[data-topics]");
    if (page !== drawn) left = null;
    drawn = page;
  }).observe(document.documentElement, { childList: true, subtree: true });
  setInterval(show, 250);
  window.tidegate.states = { began };
})();
