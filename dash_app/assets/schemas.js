/* The schemas page: asks the control plane for versions and who is on them, and whether it would take the next one. */
(function () {
  "use strict";
  const ASK_AGAIN_MS = 10000, OLD_S = 60;
  const held = new Map(); /* stream -> { shown, reason, askedAt, isAsking } */
  const make = (...how) => window.tidegate.make.element(...how);
  const prose = (text) => window.tidegate.make.prose(text);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const find = (what, name) => document.querySelector(`[data-schemas-${what}="${name}"]`);
  const now = () => performance.now();

  /* What is made of a pasted schema: a judgement, which a refusal of the registry is too, or why there is none. */
  async function judge(path, text) {
    const { said, reason, status, refused } = await window.tidegate.inquire.post(`schemas/${path}`, text);
    return refused && refused.refusal ? { said: refused } : { said, reason, isMistake: status === 422 };
  }

  async function load(name) {
    const state = held.get(name) || { shown: null, reason: null, askedAt: -Infinity };
    held.set(name, state);
    if (state.isAsking || now() - state.askedAt < ASK_AGAIN_MS) return;
    state.isAsking = true;
    const { said, reason } = await window.tidegate.inquire.ask(`schemas/${name}`);
    Object.assign(state, { isAsking: false, askedAt: now(), reason });
    if (said) Object.assign(state, { shown: said, shownAt: now() });
    paint(name);
  }

  function tick() {
    for (const card of document.querySelectorAll("[data-schemas]")) {
      const name = card.dataset.schemas, text = find("text", name);
      if (!text.dataset.keptAs) window.tidegate.kept.field(text, `${name}.next`);
      if (!document.hidden) load(name);
      paint(name);
    }
  }

  function paint(name) {
    const card = document.getElementById(`schemas-${name}`), state = held.get(name);
    if (!card || !state || state.askedAt === -Infinity) return;
    const { shown, reason } = state, { put, seconds } = window.tidegate.show;
    const [raw, valid] = shown ? shown.subjects : [];
    const why = find("reason", name), empty = raw && raw.versions.length === 0;
    why.classList.toggle("is-unknown", reason !== null);
    why.textContent = reason ? `Unknown: ${reason}` : empty ? "No version yet: route registers the first one when it starts." : "";
    why.hidden = why.textContent === "";
    card.classList.toggle("is-old", reason !== null);
    put(find("mode", name), raw && !reason ? raw.mode.toLowerCase().replace("_", " ") : null, reason || "which changes the registry lets through");
    find("age", name).textContent = shown ? `as it was ${seconds(Math.max(1, Math.round((now() - state.shownAt) / 1000)))} ago` : "";
    if (!raw) return;
    subject(find("versions", name), raw, name);
    find("valid-title", name).textContent = `What route writes: ${valid.subject}, ${many(valid.versions.length, "version")}`;
    subject(find("valid", name), valid, name);
    redraw(find("cli", name), name, () => [window.tidegate.make.copyButton(`tidegate schema check ${name} candidate.avsc`)]);
  }
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  function subject(box, one, name) {
    const key = JSON.stringify(one.versions.map(({ version, id, differences, adoption }) => [version, id, differences, adoption]));
    redraw(box, key, () => [...one.versions.map((each) => versionBlock(one, each, name)), make("div", "strangers")]);
    for (const each of one.versions) {
      const who = box.querySelector(`[data-version="${each.version}"] .who`), said = whoIsOn(one, each);
      redraw(who, JSON.stringify(said), () => said.map(chipLine));
    }
    const strangers = one.strangers.map((each) => writer(each, `writes id ${each.schema_id}, which is no version`));
    redraw(box.querySelector(".strangers"), JSON.stringify(strangers), () => (strangers.length ? [chipLine({ title: "elsewhere", chips: strangers })] : []));
  }

  function versionBlock(one, each, name) {
    const block = make("article", "version"), head = block.appendChild(make("div", "version-head"));
    block.dataset.version = each.version;
    head.append(make("h3", "", `Version ${each.version}`), make("span", "quiet", `id ${each.id}`));
    const isFirst = each.version === one.versions.at(-1).version;
    if (!isFirst) {
      const of = one.hop === "raw" ? "" : ` --of ${one.hop}`;
      head.append(window.tidegate.make.copyButton(`tidegate schema diff ${name} ${each.version - 1} ${each.version}${of}`));
    }
    if (isFirst) block.append(make("p", "quiet", `The first: ${many(each.avro.fields.length, "field")}.`));
    else block.append(differenceList(each.differences));
    block.append(...notAdopted(each.adoption, false), make("div", "who"));
    const whole = block.appendChild(make("details"));
    whole.dataset.kept = `${name}-${one.hop}-${each.version}`;
    whole.append(make("summary", "", "Avro schema"), make("pre", "", JSON.stringify(each.avro, null, 2)));
    return block;
  }

  /* The registry asks whether readers can read a version, not what the lake's and ClickHouse's columns can hold. */
  function notAdopted(adoption, isCandidate) {
    if (!adoption || (adoption.is_read && !adoption.left_out.length)) return [];
    const box = make("div", "left-out"), list = make("ul", "differences");
    const dead = `its events ${isCandidate ? "would become" : "become"} dead letters: they would be read to wrong values`;
    for (const reason of [...adoption.left_out, ...(adoption.is_read ? [] : [dead])]) list.append(make("li", "", reason));
    box.append(make("strong", "", `Tidegate ${isCandidate ? "would not take" : "does not take"} in all of it`), list);
    return [box];
  }

  function differenceList(differences) {
    if (!differences.length) return make("p", "quiet", "Nothing but its writing.");
    const list = make("ul", "differences");
    for (const each of differences) {
      const item = list.appendChild(make("li"));
      const kind = item.appendChild(make("span", "chip", each.change));
      if (each.breaks.length) {
        kind.dataset.breaks = each.breaks.join(" ");
        kind.title = `breaks ${each.breaks.join(" and ")} compatibility`;
      }
      item.append(...prose(each.sentence));
      if (each.breaks.length) item.append(make("span", "quiet", `: ${each.breaks.map((way) => unread[way]).join(", and ")}`));
    }
    return list;
  }
  const unread = { backward: "older events can't be read with it", forward: "who reads with an older version can't read it" };

  /* Who is on a version; what was last seen a minute ago says so. */
  function whoIsOn(one, each) {
    const lines = [];
    if (one.hop === "raw") {
      const chips = each.producers.map((found) => writer(found, share(found)));
      lines.push({ title: "producers", chips, none: "none seen in the sample" });
    } else {
      lines.push({ title: "written by", chips: each.writers.map((found) => part(found)), none: "nobody now" });
    }
    const isUnread = one.hop === "raw" && each.version === one.versions[0].version;
    lines.push({ title: "read by", chips: each.readers.map((found) => part(found)), none: isUnread ? "nobody yet" : "nobody" });
    return lines;
  }
  const share = ({ sampled, of }) => (of && sampled ? `${Math.max(1, Math.round((100 * sampled) / of))} %` : "");
  function writer(found, what) {
    const title = `${found.sampled} of ${found.of} records looked at in the last minute; the newest of ${window.tidegate.show.clock(found.seen_at)}`;
    return chip(found.producer === null ? "without a name" : found.producer, found.seen_at, what, title, "last seen");
  }
  function part(found) {
    return chip(found.reader, found.at, "", `said so at ${window.tidegate.show.clock(found.at)}`, "last heard");
  }
  function chip(name, at, what, title, last) {
    const age = window.tidegate.show.age(at), isOld = age > OLD_S;
    const said = isOld ? `${last} ${window.tidegate.show.seconds(age)} ago` : what;
    return { name, said, title, isOld };
  }
  function chipLine({ title, chips, none }) {
    const line = make("div", "who-line");
    line.append(make("span", "quiet", title));
    if (!chips.length) line.append(make("span", "is-unknown", none));
    for (const each of chips) {
      const shown = line.appendChild(make("span", "chip", each.name));
      shown.title = each.title;
      shown.classList.toggle("is-old", each.isOld);
      if (each.said) shown.append(make("span", "quiet", ` ${each.said}`));
    }
    return line;
  }

  /* Registering can't be taken back, so it is asked twice: the first time says what would change. */
  let asked = null;
  async function clicked({ dataset: { schemasAsk: what, stream: name } }) {
    const text = find("text", name), state = held.get(name);
    if (what === "fill") {
      const newest = state && state.shown && state.shown.subjects[0].versions[0];
      if (newest) text.value = JSON.stringify(newest.avro, null, 2);
      text.dispatchEvent(new Event("input", { bubbles: true }));
      return;
    }
    const isSure = what === "register" && asked === `${name} ${text.value}`;
    asked = null;
    const answer = await judge(isSure ? name : `${name}/check`, text.value);
    if (what === "register" && !isSure && answer.said && answer.said.accepted) asked = `${name} ${text.value}`;
    label(name);
    find("judged", name).replaceChildren(judgement(answer, isSure));
    if (isSure && state) { state.askedAt = -ASK_AGAIN_MS - 1; load(name); }
  }
  function label(name) {
    const isAsked = asked !== null && asked.startsWith(`${name} `);
    document.querySelector(`[data-schemas-ask="register"][data-stream="${name}"]`).textContent = isAsked ? "Yes, register it" : "Register";
  }

  function judgement({ said, reason, isMistake }, isDone) {
    const box = make("div", "judgement");
    if (!said) {
      box.dataset.state = isMistake ? "mistaken" : "unknown";
      box.append(make("strong", "", isMistake ? "This can't be read" : "Unknown"), make("p", "", reason));
      return box;
    }
    box.dataset.state = said.accepted ? "accepted" : "refused";
    const verdict = !said.accepted ? "Refused" : isDone ? `Registered with id ${said.id}` : "Would be accepted";
    box.append(make("strong", "", `${verdict} by ${said.subject} (${said.mode.toLowerCase().replace("_", " ")})`));
    if (said.refusal) box.append(...reasons(said.refusal));
    else box.append(make("p", "quiet", said.against === null ? "It is the first version." : `Different from version ${said.against}:`), differenceList(said.differences));
    box.append(...notAdopted(said.adoption, !isDone));
    return box;
  }
  function reasons({ objections, registry_says: quoted }) {
    const list = make("ul"), quote = make("ul", "quiet");
    for (const each of objections) list.appendChild(make("li")).append(...prose(each));
    for (const each of quoted) quote.appendChild(make("li")).append(make("code", "", each));
    return [list, make("p", "quiet", "The registry says:"), quote];
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-schemas-ask]");
    if (button) clicked(button);
  });
  document.addEventListener("input", (event) => {
    const name = event.target.dataset && event.target.dataset.schemasText;
    if (name && asked !== null) { asked = null; label(name); }
  });
  window.tidegate.painters.push((update) => { if (update.topic === "overview") tick(); return false; });
  window.addEventListener("tidegate-again", () => { for (const state of held.values()) state.askedAt = -Infinity; tick(); });
  setInterval(tick, 1000);
})();
