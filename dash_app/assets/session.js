/* Who is signed in, and how is the control plane asked? Every request of a page goes through `fetch` here: it takes the session's
   cookie along, shows what only our pages know where something is changed, and leads to the sign-in when nobody is signed in.
   A WebSocket that is refused says no reason to a script, so hub.js asks here whether that is why. */
(function () {
  "use strict";
  const SAFE = ["GET", "HEAD"], WITHIN_MS = 8000;
  let who = null, asking = null, isLeaving = false;

  function address(path) {
    const port = document.getElementById("console").dataset.pushPort;
    return `${location.protocol}//${port ? `${location.hostname}:${port}` : location.host}/api/v1/${path}`;
  }
  async function ask() {
    const answer = await window.fetch(address("session"), { credentials: "include", signal: AbortSignal.timeout(WITHIN_MS) });
    if (answer.status === 401) leave();
    who = answer.ok ? await answer.json() : null;
    show();
    return who;
  }
  /* What is known of the session; asked once for all who want to know at the same time. */
  function known() {
    if (who) return Promise.resolve(who);
    asking = asking || ask().finally(() => { asking = null; });
    return asking;
  }
  async function send(url, how = {}) {
    const headers = { ...how.headers };
    if (!SAFE.includes(how.method || "GET")) {
      const session = await known();
      if (session && session.csrf) headers["X-Tidegate-CSRF"] = session.csrf;
    }
    const answer = await told(url, () => window.fetch(url, { ...how, headers, credentials: "include" }), how.method || "GET");
    if (answer.status === 401) leave();
    return answer;
  }
  /* What a page reads, and what came of it, is told to `states.js`; of what it orders it tells itself. */
  async function told(url, asking, method) {
    if (!SAFE.includes(method)) return asking();
    const ended = window.tidegate.states.began(url);
    let answer = null;
    try {
      answer = await asking();
      return answer;
    } finally {
      /* Only what says why it failed is read there too. */
      ended(answer && (answer.ok ? answer : answer.clone()));
    }
  }
  function leave() {
    if (isLeaving) return;
    isLeaving = true;
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  /* Is it the session that a socket was refused for? The control plane may as well be away. */
  function check() { ask().catch(() => {}); }

  async function signOut() {
    await send(address("session"), { method: "DELETE" }).catch(() => {});
    who = null;
    leave();
  }
  const role = ({ grants }) => {
    const order = ["viewer", "operator", "approver", "admin"], found = grants.map((each) => each.role);
    return found.sort((one, other) => order.indexOf(other) - order.indexOf(one))[0] || "no role";
  };

  /* May they do that to a stream (none: to the platform as a whole)? While it is not known, the control plane decides. */
  function may(action, stream) {
    const streams = who ? who.may[action] || [] : ["*"];
    return streams.includes("*") || Boolean(stream && streams.includes(stream));
  }
  const whyNot = (action, stream) => `${who.name} (${role(who)}) may not ${action} ${stream ? `for ${stream}` : "for the platform as a whole"}`;

  function show() {
    const box = document.getElementById("signed-in");
    /* Once for each box: what is written here is a change of the page too, and would be answered by writing it again. */
    if (box && who && box.hidden) {
      box.querySelector("[data-session-name]").textContent = who.name;
      box.querySelector("[data-session-role]").textContent = role(who);
      box.hidden = false;
    }
    deny();
  }
  /* A button says by data-needs which action it is, and by data-needs-stream for which stream. What may not be used stays to be
     seen, with the reason; its own script goes on deciding whether it is enabled otherwise. */
  function deny() {
    for (const button of document.querySelectorAll("[data-needs]")) {
      const { needs, needsStream } = button.dataset, isDenied = !may(needs, needsStream);
      if (isDenied === button.classList.contains("is-denied")) continue;
      button.classList.toggle("is-denied", isDenied);
      if (isDenied) {
        button.setAttribute("aria-disabled", "true");
        button.dataset.titleBefore = button.title;
        button.title = whyNot(needs, needsStream);
      } else {
        button.removeAttribute("aria-disabled");
        button.title = button.dataset.titleBefore;
      }
    }
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-session-end]")) signOut();
    if (!event.target.closest(".is-denied")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  let waiting = 0;
  new MutationObserver(() => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (who) show(); else if (document.getElementById("console")) known().catch(() => {}); }, 50);
  }).observe(document.documentElement, { childList: true, subtree: true });
  window.tidegate.session = { fetch: send, known, may, check, signOut, whyNot };
})();
