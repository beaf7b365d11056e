/* How is the control plane asked? At once, or again and again for what was before. */
(function () {
  "use strict";
  const WITHIN_MS = 8000, HISTORY_WITHIN_MS = 15000, AGAIN_MS = 15000, FORGOTTEN_MS = 60000;
  const now = () => performance.now();

  function address(path) {
    const port = document.getElementById("console").dataset.pushPort;
    return `${location.protocol}//${port ? `${location.hostname}:${port}` : location.host}/api/v1/${path}`;
  }

  /* What it says, or why nothing is known; a refusal has its status and what else it says. A body that is a text is sent as it is,
     and what is answered as text stays one. */
  async function ask(path, { method = "GET", body, headers = {}, within = WITHIN_MS } = {}) {
    try {
      const written = typeof body === "string" ? body : JSON.stringify(body);
      const how = body === undefined ? { method, headers } : { method, body: written, headers: { "Content-Type": "application/json", ...headers } };
      const answer = await window.tidegate.session.fetch(address(path), { ...how, signal: AbortSignal.timeout(within) });
      const text = await answer.text(), said = text && isJson(answer) ? JSON.parse(text) : text || null;
      if (answer.ok) return { said, reason: null };
      const detail = said && said.detail;
      return { said: null, reason: typeof detail === "string" ? detail : `the control plane answers ${answer.status}`, status: answer.status, refused: said };
    } catch {
      return { said: null, reason: "the control plane does not answer" };
    }
  }
  const isJson = (answer) => /json/.test(answer.headers.get("content-type") || "");
  const post = (path, body = {}, how = {}) => ask(path, { method: "POST", body, ...how });

  /* What was before, as it was last answered; asked again when it is old. `then` is called when there is something new. */
  const held = new Map(); /* path -> { said, reason, askedAt, isAsking, usedAt } */
  function past(path, then, againMs = AGAIN_MS) {
    const state = held.get(path) || { said: null, reason: null, askedAt: -Infinity, isAsking: false };
    held.set(path, state);
    state.usedAt = now();
    if (!state.isAsking && !document.hidden && now() - state.askedAt > againMs) load(path, state, then);
    return state;
  }
  async function load(path, state, then) {
    state.isAsking = true;
    const { said, reason } = await ask(path, { within: HISTORY_WITHIN_MS });
    Object.assign(state, { isAsking: false, askedAt: now(), reason, said: said || state.said });
    then();
  }
  window.addEventListener("tidegate-again", () => { for (const state of held.values()) state.askedAt = -Infinity; });
  setInterval(() => { for (const [path, { usedAt }] of held) if (now() - usedAt > FORGOTTEN_MS) held.delete(path); }, FORGOTTEN_MS);

  window.tidegate.inquire = { address, ask, post, past };
})();
