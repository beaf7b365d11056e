/* Load tests: what is asked for is typed in (it is in the address, so a link asks for the same), planned and confirmed in the dialog of
   operations; the run that is chosen, or else the newest, is watched second by second. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const place = (what, name) => document.querySelector(`[data-load-${what}${name ? `="${name}"` : ""}]`);
  const address = () => window.tidegate.address;
  const AGAIN_MS = 1000, PREVIEW_AFTER_MS = 250, AWAY_AGAIN_MS = 5000, UNDER_WAY = ["queued", "running", "paused"];
  const defaults = { target: "kafka", shape: "steady", rate: "200", lasts: "1m", users: "4", why: "" };
  const fields = [
    ["target", "by", "select", [["kafka", "Kafka"], ["collector", "the collector, over HTTP"], ["console", "the console\u2019s API"], ["hub", "the hub\u2019s watchers"]], "What is loaded"],
    ["shape", "shape", "select", [["steady", "steady"], ["flash-sale", "flash sale"], ["step", "steps"], ["soak", "soak"]], "How the load goes over time"],
    ["rate", "at the peak", "number", null, "Events, or requests, a second at the peak"],
    ["lasts", "for", "text", null, "How long: 30s, 2m, 1h"],
    ["users", "users", "number", null, "Who sends or asks at once; of the hub its clients at the peak"],
    ["why", "why", "text", null, "Kept with it"],
  ];
  const quoted = (text) => (/^[\w.:,/*=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const given = (name) => address().get(name) || defaults[name];
  const streams = () => place("form").dataset.loadForm.split(" ").filter(Boolean);
  const stream = () => (streams().includes(address().get("stream")) ? address().get("stream") : streams()[0]);
  const asked = () => ({ stream: stream(), target: given("target"), shape: given("shape"), rate: Number(given("rate")), lasts: given("lasts"), users: Number(given("users")) });
  function command() {
    const said = [["target", "--target"], ["shape", "--shape"], ["rate", "--rate"], ["lasts", "--for"], ["users", "--users"], ["why", "--why"]]
      .filter(([name]) => given(name) !== defaults[name]).map(([name, option]) => ` ${option} ${quoted(given(name))}`).join("");
    return `tidegate load start ${stream()}${said}`;
  }

  function inputOf([name, label, kind, choices, what]) {
    const box = make("label", "", label), input = make(kind === "select" ? "select" : "input", "field");
    if (choices) for (const [value, text] of choices) input.append(new Option(text, value));
    else Object.assign(input, { type: kind, autocomplete: "off", spellcheck: false });
    if (kind === "number") Object.assign(input, { min: name === "users" ? 1 : 0, step: name === "users" ? 1 : "any" });
    Object.assign(input, { title: what, name, value: name === "stream" ? stream() : given(name) });
    input.setAttribute("aria-label", what);
    input.dataset.loadField = name;
    input.addEventListener("input", () => { address().set({ [name]: input.value === defaults[name] ? "" : input.value }); form(); });
    box.append(input);
    return box;
  }
  function form() {
    const box = place("form");
    redraw(box, box.dataset.loadForm, () => {
      const made = make("form", "load-form"), go = make("button", "copy is-main", "Plan \u2026");
      go.type = "submit";
      Object.assign(go.dataset, { loadDo: "plan", needs: "plan" });
      made.append(inputOf(["stream", "stream", "select", streams().map((each) => [each, each]), "Which stream"]), ...fields.map(inputOf), go, make("span", "load-cli"));
      made.addEventListener("submit", (event) => {
        event.preventDefault();
        const why = given("why").trim();
        window.tidegate.operate.start({ kind: "load_test", asked: asked(), ...(why ? { why } : {}) }, { title: `Load test of ${stream()}`, cli: command() });
      });
      return [made];
    });
    box.querySelector('[data-load-field="rate"]').parentElement.hidden = given("target") === "hub";
    box.querySelector("[data-load-do]").dataset.needsStream = stream();
    redraw(box.querySelector(".load-cli"), command(), () => [window.tidegate.make.copyButton(command())]);
    preview();
  }

  /* The curve is the control plane's: it and what runs cannot differ. */
  let shown = null, curve = null, waiting = null;
  function preview() {
    const wanted = new URLSearchParams(asked()).toString();
    if (wanted !== shown) {
      shown = wanted;
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        const { said, reason, status } = await window.tidegate.inquire.ask(`loads/curve?${wanted}`);
        if (wanted !== shown) return;
        curve = said;
        tell(said, reason, status);
        /* Whoever is away is asked again; what is refused as it is typed in is not. */
        if (reason && isAway(status)) waiting = setTimeout(() => { shown = null; }, AWAY_AGAIN_MS);
      }, PREVIEW_AFTER_MS);
    }
    if (!curve) return;
    const [x, y] = [0, 1].map((at) => curve.curve.map((point) => point[at]));
    window.tidegate.timechart.timechart(place("chart", "curve"), { start: 0, end: x[x.length - 1], traces: [{ name: curve.unit, x, y, colour: 0, fill: true }] });
  }
  const isAway = (status) => status === undefined || status >= 500;
  function tell(said, reason, status) {
    const box = place("said", "form");
    if (!box) return;
    box.classList.toggle("is-refused", Boolean(reason) && !isAway(status));
    box.classList.toggle("is-unknown", Boolean(reason) && isAway(status));
    const what = said && said.events ? `${said.events.toLocaleString("en")} ${["kafka", "collector"].includes(given("target")) ? `real events into ${stream()}, which stay` : "requests"}. ` : "";
    box.textContent = reason || `${what}A plan first: nothing is done before it is confirmed.`;
  }

  /* The run that is watched: the one in the address, else the newest that is under way, else the newest with a report. */
  const shownIn = new WeakMap();
  let run = null, seconds = null, isEnded = false, askedAt = -Infinity, isAsking = false, why = null;
  const operations = () => { const update = window.tidegate.latest.get("operations"); return update ? update.data.operations.filter((each) => each.kind === "load_test") : []; };
  function chosen() {
    const newest = operations().find((each) => UNDER_WAY.includes(each.state)), runs = window.tidegate.loadRuns ? window.tidegate.loadRuns.runs() : [];
    return address().get("run") || (newest ? newest.id : runs.length ? runs[0].id : null);
  }
  function one() {
    const box = place("one"), id = chosen();
    if (!box || !window.tidegate.operateView) return;
    const held = shownIn.get(box) || { surface: window.tidegate.operate.surface(box), id: null };
    shownIn.set(box, held);
    box.closest("section").hidden = id === null;
    if (id === null) return;
    if (held.id !== id) {
      held.id = id;
      held.surface.show(id);
      Object.assign(held, { id });
      [run, seconds, askedAt, why, isEnded] = [id, null, -Infinity, null, false];
      place("now").textContent = id;
    }
    load();
    draw();
  }
  async function load() {
    const operation = operations().find((each) => each.id === run), is = operation && UNDER_WAY.includes(operation.state);
    if (isAsking || document.hidden || performance.now() - askedAt < AGAIN_MS || (seconds && isEnded && !is)) return;
    isAsking = true;
    askedAt = performance.now();
    const id = run, { said, reason } = await window.tidegate.inquire.ask(`loads/${encodeURIComponent(id)}/seconds`);
    isAsking = false;
    if (id !== run) return;
    isEnded = !is;
    seconds = said || seconds;
    why = reason;
  }
  function draw() {
    const said = place("said", "run"), words = seconds && seconds.length ? why || "" : why || "Nothing has been measured yet.";
    if (said.textContent !== words) said.textContent = words;
    const isKnown = Boolean(seconds && seconds.length);
    for (const name of ["rates", "times", "scale"]) place("chart", name).hidden = !isKnown; /* those of another run are none of this one's */
    judged();
    if (!isKnown) return;
    const x = seconds.map((each) => each.t_s), column = (name) => seconds.map((each) => each[name]), end = Math.max(5, x[x.length - 1]);
    const queries = [...new Set(seconds.flatMap((each) => Object.keys(each.lag_s)))].sort();
    window.tidegate.timechart.timechart(place("chart", "rates"), { start: Math.min(0, x[0]), end, second: " s", traces: [
      { name: "asked for", x, y: column("asked"), colour: 11, dash: "dot" }, { name: "offered", x, y: column("offered"), colour: 2 },
      { name: "accepted", x, y: column("accepted"), colour: 0, fill: true }, { name: "429", x, y: column("refused"), colour: 3 }, { name: "failed", x, y: column("failed"), colour: 7 },
      ...queries.map((name, at) => told({ name: `${name} behind (right)`, x, y: seconds.map((each) => each.lag_s[name] ?? null), colour: 4 + at, unit: " s", second: true, size: 1.1 })),
    ] });
    window.tidegate.timechart.timechart(place("chart", "times"), { start: Math.min(0, x[0]), end, isAligned: true, traces: [
      { name: "response p50", x, y: column("p50_ms"), colour: 0, unit: " ms" }, { name: "response p99", x, y: column("p99_ms"), colour: 1, unit: " ms" },
      told({ name: "event to pixel p99", x, y: column("pixel_p99_ms"), colour: 2, unit: " ms" }),
    ] });
    window.tidegate.timechart.timechart(place("chart", "scale"), { start: Math.min(0, x[0]), end, second: "", traces: [
      told({ name: "executors", x, y: column("executors"), colour: 0, step: true }),
      told({ name: "waiting in the collector (right)", x, y: column("waiting"), colour: 1, second: true }),
    ] });
  }

  const told = (trace) => (trace.y.some((each) => each !== null) ? trace : { ...trace, name: `${trace.name}: not measured` });

  function judged() {
    const box = place("judged"), found = window.tidegate.loadRuns ? window.tidegate.loadRuns.runs().find((each) => each.id === run) : null;
    redraw(box, JSON.stringify(found ? found.judgements : null), () => (found ? found.judgements : []).map((each) => {
      const line = make("li"), about = make("span", "verdict-of", each.about);
      about.dataset.state = each.state;
      about.title = each.state;
      line.append(about, make("span", "", each.text));
      return line;
    }));
  }

  /* In the dialog: the shape, and what came of it. */
  function curveOf(of) {
    if (!of.curve) return [window.tidegate.values.tree(of)];
    const until = of.curve[of.curve.length - 1][0], most = Math.max(...of.curve.map((each) => each[1]));
    const words = `Up to ${most.toLocaleString("en")} ${of.unit}, for ${window.tidegate.show.seconds(until)}; about ${of.memory_mib} MiB for the process that loads.`;
    return [window.tidegate.timechart.sparkline(of.curve, 0, until, words), make("p", "quiet", words)];
  }
  function cameOf(result, operation) {
    if (!result.says) return [window.tidegate.values.tree(result)];
    const parts = [make("p", "", result.says)];
    if (location.pathname !== "/load") parts.push(window.tidegate.make.link("Its charts", `/load?run=${operation.id}`));
    return parts;
  }
  const join = setInterval(() => {
    if (!window.tidegate.operate || !window.tidegate.operate.previews) return;
    clearInterval(join);
    window.tidegate.operate.previews.load_test = curveOf;
    window.tidegate.operate.results.load_test = cameOf;
  }, 50);

  setInterval(() => { if (place("form") && window.tidegate.make) { form(); one(); } }, 300);
})();
