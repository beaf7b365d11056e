/* Which changed folder, over which window? A folder of this machine is sent first; then the dialog of operations takes over. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const SEND_WITHIN_MS = 30000, MOST_BYTES = 8 * 2 ** 20, TEXT = /\.(yaml|avsc|json|csv|md)$/;
  const OF_A_FOLDER = /^(stream\.yaml|schema\.avsc|suite\.json|README\.md|reference\/[A-Za-z0-9_][A-Za-z0-9_.-]*\.(csv|parquet|md))$/;

  function field(label, input, title) {
    const made = make("label", "trial-field");
    made.append(make("span", "quiet", label), input);
    if (title) made.title = title;
    return made;
  }
  function input(name, type, placeholder) {
    const made = make("input", "field");
    Object.assign(made, { name, type, placeholder: placeholder || "", autocomplete: "off", spellcheck: false });
    return made;
  }
  function form(box) {
    const made = make("form", "trial-form"), stream = make("select", "field"), folder = input("files", "file"), path = input("folder", "text", "folder/flights");
    for (const name of box.dataset.trialAsk.split(" ").filter(Boolean)) stream.append(new Option(name, name));
    stream.name = "stream";
    folder.webkitdirectory = true;
    folder.multiple = true;
    const since = input("since", "text", "2013-01-07"), until = input("until", "text", "2013-01-14"), version = input("version", "number", "newest");
    version.min = 0;
    for (const each of [stream, path, since, until, version]) window.tidegate.kept.field(each, each.name, each === stream ? stream.value : "");
    const go = make("button", "copy", "Plan the trial"), said = make("div", "trial-said"), cli = make("span");
    go.type = "submit";
    go.dataset.action = "plan";
    said.setAttribute("role", "status");
    const given = () => asked({ stream, path, folder, since, until, version });
    const told = () => window.tidegate.make.redraw(cli, command(given()), () => [window.tidegate.make.copyButton(command(given()))]);
    made.addEventListener("input", told);
    made.addEventListener("submit", (event) => { event.preventDefault(); start(given(), folder.files, said, go); });
    made.append(
      field("stream", stream), field("a folder of this machine", folder, "stream.yaml, schema.avsc, suite.json and reference/; it is sent and checked"),
      field("or one below TIDEGATE_TRIALS", path), field("from", since, "Event time, ISO 8601, UTC when it names no other zone"), field("until", until, "Exclusive"),
      field("version of the events", version), go, cli);
    setTimeout(told);
    return [made, said];
  }
  const moment = (text) => (text && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? `${text.includes("T") ? text : `${text}T00:00:00`}Z` : text);
  function asked({ stream, path, folder, since, until, version }) {
    const local = folder.files.length ? folder.files[0].webkitRelativePath.split("/")[0] : "";
    return { stream: stream.value, folder: local || path.value.trim(), local, since: moment(since.value.trim()), until: moment(until.value.trim()), version: version.value === "" ? null : Number(version.value) };
  }
  const quoted = (text) => (/^[\w./:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  function command({ stream, folder, local, since, until, version }) {
    const where = local ? `./${local}` : folder || "FOLDER";
    return ["tidegate trial start", quoted(stream), quoted(where), "--since", quoted(since || "SINCE"), "--until", quoted(until || "UNTIL"), ...(version === null ? [] : ["--version", version])].join(" ");
  }

  async function start(given, files, said, go) {
    const { stream, since, until, version, local } = given;
    const missing = [["a folder", given.folder], ["from", since], ["until", until]].filter(([, value]) => !value).map(([name]) => name);
    if (missing.length) return tell(said, [`say which: ${missing.join(", ")}`]);
    go.disabled = true;
    tell(said, []);
    try {
      const folder = local ? await send(stream, [...files], said) : given.folder;
      if (folder) window.tidegate.operate.start({ kind: "trial", asked: { stream, folder, since, until, version } }, { cli: command({ ...given, folder, local: "" }) });
    } finally {
      go.disabled = false;
    }
    return undefined;
  }
  async function send(stream, files, said) {
    const mine = files.map((file) => ({ file, name: file.webkitRelativePath.split("/").slice(1).join("/") })).filter(({ name }) => OF_A_FOLDER.test(name));
    if (mine.reduce((sum, { file }) => sum + file.size, 0) > MOST_BYTES) return tell(said, ["the folder is larger than 8 MiB: put it below TIDEGATE_TRIALS"]);
    const body = { stream, files: {} };
    for (const { file, name } of mine) body.files[name] = TEXT.test(name) ? { text: await file.text() } : { base64: base64(new Uint8Array(await file.arrayBuffer())) };
    const { said: taken, reason } = await window.tidegate.inquire.ask("trials/folders", { method: "POST", body, within: SEND_WITHIN_MS });
    return taken ? taken.folder : tell(said, reason.split("; ").length > 1 ? ["The folder is refused:", reason] : [reason]);
  }
  function base64(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    return btoa(text);
  }
  function tell(box, lines) {
    const made = make("div", "judgement");
    made.dataset.state = "refused";
    made.append(...lines.map((line) => make("p", "", line)));
    box.replaceChildren(...(lines.length ? [made] : []));
    return null;
  }

  setInterval(() => {
    const box = document.querySelector("[data-trial-ask]");
    if (box && !box.firstChild) box.append(...form(box));
  }, 200);
})();
