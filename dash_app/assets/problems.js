/* What is wrong now, above every page: the hub's list, and first what only the page can know, that the hub does not answer. */
(function () {
  "use strict";
  const LOST_AFTER_MS = 1500, SILENT_AFTER_MS = 5000;
  const openedAt = performance.timeOrigin;
  const now = () => performance.timeOrigin + performance.now();
  let isOpen = false;

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

  function follow(event) {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    window.history.pushState({}, "", event.currentTarget.getAttribute("href"));
    /* What Dash's own links say to its location. */
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
    setOpen(false);
  }

  /* A line stays the same element while its problem lasts: a screen reader says it once, and not each second anew. */
  function lineOf(problem) {
    const line = document.createElement("li"), text = line.appendChild(document.createElement(problem.page ? "a" : "span"));
    line.dataset.key = keyOf(problem);
    if (problem.page) {
      text.href = problem.page;
      text.addEventListener("click", follow);
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
    const update = window.tidegate.latest.get("overview");
    const problems = [...silence(), ...(update ? update.data.problems : [])];
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
    });
    const rest = problems.length - 1;
    if (rest < 1) isOpen = false;
    more.hidden = rest < 1;
    write(more, isOpen ? "fewer" : `and ${rest} more`);
    more.setAttribute("aria-expanded", String(isOpen));
    banner.classList.toggle("is-open", isOpen);
  }
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  window.tidegate.painters.push((update) => {
    if (update.topic === "overview") show();
    return false;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && isOpen) setOpen(false); });
  setInterval(show, 500);
})();
