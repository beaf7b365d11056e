/* The sign-in: by name and password, by a one-time link that sets a password, or at an OpenID provider. Where the visitor was
   going is in `next`, and only a page of this console is gone to. */
(function () {
  "use strict";
  const AGAIN_MS = 2000, WITHIN_MS = 15000, SHORTEST = 10;
  const find = (id) => document.getElementById(id);
  const door = find("door"), asked = new URLSearchParams(location.search), once = asked.get("once");
  /* The link is used up by this page: it must not stay in the history or be sent anywhere. */
  if (once) history.replaceState(null, "", location.pathname);

  const port = door.dataset.pushPort;
  const api = `${location.protocol}//${port ? `${location.hostname}:${port}` : location.host}/api/v1/session`;
  const isOurs = (path) => /^\/(?![/\\])/.test(path) && !path.startsWith("/sign-in");
  const next = () => { const wanted = asked.get("next") || "/"; return isOurs(wanted) ? wanted : "/"; };

  async function ask(path, body) {
    const how = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    const answer = await fetch(`${api}${path}`, { ...how, credentials: "include", signal: AbortSignal.timeout(WITHIN_MS) });
    const text = await answer.text(), said = text ? JSON.parse(text) : null;
    return { isOk: answer.ok, status: answer.status, said, why: said && typeof said.detail === "string" ? said.detail : `the control plane answers ${answer.status}` };
  }
  const whys = {
    "refused": "The provider’s answer was refused; the control plane’s log says why.",
    "late": "That took too long: sign in again.",
    "away": "The provider does not answer; the control plane’s log says why.",
    "no-role": "You are known to the provider, but have no role here: ask an admin.",
  };
  const say = (text) => { find("door-said").textContent = text; };
  function words(text) { Object.assign(find("door-words"), { textContent: text, hidden: false }); }

  /* mode: { path, isNew, user } */
  let mode = { path: "", isNew: false, user: null };
  function show({ title, text, path, isNew, user, go }) {
    mode = { path, isNew, user };
    find("door-title").textContent = title;
    if (text) words(text);
    find("door-go").textContent = go;
    find("door-password-word").textContent = isNew ? `New password (${SHORTEST} characters or more)` : "Password";
    find("door-password").autocomplete = isNew ? "new-password" : "current-password";
    find("door-again-line").hidden = !isNew;
    find("door-again").required = isNew;
    if (user) Object.assign(find("door-name"), { value: user, readOnly: true });
    find("door-form").hidden = false;
    find(user ? "door-password" : "door-name").focus();
  }
  async function open() {
    const ways = await ask("/ways");
    if (once) {
      const { isOk, said, why } = await ask("/link/look", { once });
      if (isOk && said.user) return show({ title: "Choose a password", text: `This link signs ${said.user} in, once.`, path: "/link", isNew: true, user: said.user, go: "Sign in" });
      if (isOk) return show({ title: "Welcome", text: "This link makes the first admin. Choose a name and a password.", path: "/link", isNew: true, go: "Make the admin and sign in" });
      say(`${why[0].toUpperCase()}${why.slice(1)}.`);
    } else if ((await ask("")).isOk) {
      return location.replace(next());
    }
    if (ways.isOk && ways.said.openid) {
      const link = find("door-openid");
      link.textContent = `Sign in at ${ways.said.openid}`;
      link.href = `${api}/openid?next=${encodeURIComponent(next())}`;
      link.hidden = false;
    }
    const isFirst = ways.isOk && !ways.said.has_users && !ways.said.openid;
    return show({ title: "Sign in", text: isFirst ? "There is no user yet: `tidegate up` has printed a link that makes the first admin." : "", path: "", isNew: false, go: "Sign in" });
  }
  async function start() {
    try {
      await open();
      if (asked.has("why")) say(whys[asked.get("why")] || whys.refused);
    } catch {
      words("The control plane does not answer. Waiting for it.");
      setTimeout(() => { find("door-words").hidden = true; start(); }, AGAIN_MS);
    }
  }

  find("door-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = find("door-name").value.trim(), password = find("door-password").value;
    if (mode.isNew && password.length < SHORTEST) return say(`A password takes ${SHORTEST} characters or more.`);
    if (mode.isNew && password !== find("door-again").value) return say("The two passwords differ.");
    find("door-go").disabled = true;
    say("");
    try {
      const { isOk, why } = await ask(mode.path, mode.isNew ? { once, name: mode.user ? null : name, password } : { name, password });
      if (isOk) return location.replace(next());
      say(`${why[0].toUpperCase()}${why.slice(1)}.`);
    } catch {
      say("The control plane does not answer; nothing was sent twice: try again.");
    }
    find("door-go").disabled = false;
    return undefined;
  });
  start();
})();
