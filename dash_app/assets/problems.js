/* Is all well? In one look, above every page: the hub's list of what is wrong, and before it what only the page can know, that the hub
   does not answer. "All is well" is only said of a picture that has just come, in which nothing is unknown. */
(function () {
  "use strict";
  const LOST_AFTER_MS = 1500, SILENT_AFTER_MS = 5000;
  const openedAt = performance.timeOrigin;
  const now = () => performance.timeOrigin + performance.now();
  let isOpen = false, told = null;

  /* The overview comes every second, and a pong every five: silence is known before the socket knows it. */
  function silence() {
    const { heardAt } = window.tidegate.state, { clock } = window.tidegate.show;
    const isLost = document.body.dataset.connection !== "live";
    const age = now() - (heardAt || openedAt);
    if (age < (isLost && heardAt ? LOST_AFTER_MS : SILENT_AFTER_MS)) return [];
    const reason = heardAt
      ? `does not answer since ${clock(heardAt + window.tidegate.state.clockOffset)}; what you see is of then. Trying again.`
      : `has not answered since this page was opened at ${clock(openedAt)}. Trying again.`;
    return [{ subject: "The control plane", reason, since: null, page: null }];
  }

  function unknownOf({ name, verdict, verdict_reason: reason, hops }) {
    if (verdict === "unknown") return { why: `the ledger of ${name}: ${reason}`, page: `/ledger/${name}` };
    const hop = hops.find(({ events }) => events === null);
    return hop ? { why: `${name}.${hop.hop}: ${hop.reason}`, page: "/" } : null;
  }
  /* { state: ok | problems | unknown | lost, said, why, page, problems }; `why` is of what is unknown without being a problem. */
  function health() {
    const lost = silence(), update = window.tidegate.latest.get("overview");
    const problems = [...lost, ...(update ? update.data.problems : [])];
    if (lost.length) return { state: "lost", said: "Not connected", why: "", page: null, problems };
    if (!update) return { state: "unknown", said: "Not known yet", why: "", page: "/", problems };
    if (problems.length) return { state: "problems", said: problems.length === 1 ? "1 problem" : `${problems.length} problems`, why: "", page: problems[0].page, problems };
    const unknown = update.data.streams.map(unknownOf).find(Boolean);
    if (unknown) return { state: "unknown", said: "Unknown", ...unknown, problems };
    return { state: "ok", said: "All is well", why: "", page: "/", problems };
  }

  /* A line stays the same element while its problem lasts: a screen reader says it once, and not each second anew. */
  function lineOf(problem) {
    const line = document.createElement("li"), text = line.appendChild(document.createElement(problem.page ? "a" : "span"));
    line.dataset.key = keyOf(problem);
    if (problem.page) {
      text.href = problem.page;
      text.addEventListener("click", () => setOpen(false));
    }
    text.appendChild(document.createElement("strong")).textContent = problem.subject;
    text.append(" ");
    text.appendChild(document.createElement("span")).setAttribute("aria-live", "off");
    line.appendChild(document.createElement("time"));
    return line;
  }
  const keyOf = (problem) => `${problem.subject} ${problem.page}`;

  function setOpen(open) {
    isOpen = open;
    show();
  }

  function show() {
    const banner = document.getElementById("banner");
    if (!banner || !window.tidegate.show) return;
    const { state, said, why, page, problems } = health(), link = document.getElementById("health-said");
    document.getElementById("health").dataset.state = state;
    if (state !== told) {
      told = state;
      window.dispatchEvent(new Event("tidegate-health"));
    }
    write(link, said);
    write(document.getElementById("health-why"), why);
    document.getElementById("health-why").title = why;
    if (page) link.setAttribute("href", page);
    else link.removeAttribute("href");
    banner.hidden = problems.length === 0;
    let list = banner.querySelector("ul"), more = banner.querySelector("button");
    if (!list) {
      list = banner.appendChild(document.createElement("ul"));
      more = banner.appendChild(document.createElement("button"));
      more.type = "button";
      more.addEventListener("click", () => setOpen(!isOpen));
    }
    const held = new Map(Array.from(list.children, (line) => [line.dataset.key, line]));
    const lines = problems.map((problem) => held.get(keyOf(problem)) || lineOf(problem));
    if (lines.length !== list.children.length || lines.some((line, index) => line !== list.children[index])) list.replaceChildren(...lines);
    problems.forEach((problem, index) => {
      write(lines[index].querySelector("span[aria-live]"), problem.reason);
      write(lines[index].querySelector("time"), problem.since ? `since ${window.tidegate.show.clock(problem.since)}` : "");
      lines[index].title = `${problem.subject} ${problem.reason}`;
    });
    if (!problems.length) isOpen = false;
    write(more, isOpen ? "close" : problems.length > 1 ? `all ${problems.length}` : "whole");
    more.setAttribute("aria-expanded", String(isOpen));
    banner.classList.toggle("is-open", isOpen);
  }
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  window.tidegate.health = health;
  window.tidegate.painters.push((update) => {
    if (update.topic === "overview") show();
    return false;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && isOpen) setOpen(false); });
  document.addEventListener("click", (event) => { if (isOpen && !event.target.closest("#banner")) setOpen(false); });
  setInterval(show, 500);
})();
