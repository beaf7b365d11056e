/* What an operator may ask for on the Scaling page: a number of executors, planned first and then ordered, and the autoscaler's policy. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const redraw = (...what) => window.tidegate.make.redraw(...what);
  const page = () => window.tidegate.scaling;
  const policies = new Map(), touched = new Set(); /* targets whose fields somebody types into */
  const fields = ["least", "most", "low", "high", "catch_up", "out_cool_down", "in_cool_down", "out_step", "in_step", "events_per_s"];
  let planned = null; /* { target, body, said }: what was planned last, and may be ordered */

  const inputOf = (target, name) => {
    const place = page().find("field", `${target} ${name}`);
    if (!place) return null;
    if (!place.firstChild) {
      const input = place.appendChild(make("input"));
      Object.assign(input, { type: place.dataset.kind, title: place.dataset.what, autocomplete: "off" });
      input.setAttribute("aria-label", place.dataset.what);
      if (place.dataset.kind === "number") Object.assign(input, { min: 0, step: "any" });
      Object.assign(input.dataset, { scalingInput: name, target });
      if (name === "executors" || name === "for") window.tidegate.kept.field(input, `${target}.${name}`);
    }
    return place.firstChild;
  };
  const written = ({ utilisation: [low, high], ...policy }) => ({ ...policy, low: Math.round(100 * low), high: Math.round(100 * high) });
  const value = (target, name) => inputOf(target, name).value.trim();

  /* A frame from before a policy was set from here has the one of before: built on, it would take that back. */
  const setAt = new Map();
  const newest = ({ name, policy, wanted }) => (Date.parse(wanted.at) < (setAt.get(name) || 0) ? policies.get(name) : policy);
  function forms(target) {
    const { name, ordered, executors } = target, policy = newest(target), shown = written(policy);
    policies.set(name, policy);
    for (const field of fields) {
      const input = inputOf(name, field);
      if (input && !touched.has(name) && document.activeElement !== input) input.value = shown[field] === null ? "" : shown[field];
    }
    const many = inputOf(name, "executors");
    inputOf(name, "for");
    if (many.value === "" && document.activeElement !== many && executors) many.placeholder = String(executors.have);
    for (const button of document.querySelectorAll(`[data-scaling-ask][data-target="${name}"]`)) {
      const ask = button.dataset.scalingAsk, isHere = (ask === "on" && policy.is_on && !policy.is_dry_run) || (ask === "dry-run" && policy.is_on && policy.is_dry_run) || (ask === "off" && !policy.is_on);
      button.classList.toggle("is-here", isHere);
      if (ask === "release") button.hidden = !ordered;
    }
    const said = policy.is_on ? (policy.is_dry_run ? "what would be done is said, and not done" : "it decides, and its part acts") : "executors stay as they are, whatever the load";
    const words = page().find("switch", name);
    if (words.textContent !== said) words.textContent = said;
    commands(name, ordered);
  }

  /* The same as a command, as it is typed in now. */
  function commands(target, ordered) {
    const policy = policies.get(target), now = policy.is_on ? (policy.is_dry_run ? "dry-run" : "on") : "off";
    copy(`${target} switch`, `tidegate scaling ${now} ${target}`);
    const executors = value(target, "executors"), lasts = value(target, "for");
    if (ordered && !executors) copy(`${target} scale`, `tidegate scaling release ${target}`);
    else copy(`${target} scale`, executors ? `tidegate scaling scale ${target} ${executors}${lasts ? ` --for ${lasts}` : ""}` : "");
    const options = changed(target).map(([name, given]) => ` --${name.replaceAll("_", "-")} ${given}`).join("");
    copy(`${target} set`, options ? `tidegate scaling set ${target}${options}` : `tidegate scaling show ${target}`);
  }
  function copy(place, command) {
    redraw(page().find("cli", place), command, () => (command ? [window.tidegate.make.copyButton(command)] : []));
  }
  function changed(target) {
    const before = written(policies.get(target)), differs = (name) => value(target, name) !== String(before[name] === null ? "" : before[name]);
    const plain = fields.filter((name) => name !== "low" && name !== "high" && differs(name)).map((name) => [name, value(target, name) || "0"]);
    return differs("low") || differs("high") ? [...plain, ["utilisation", `${value(target, "low") / 100}-${value(target, "high") / 100}`]] : plain;
  }
  function typed(target) {
    const number = (name) => (value(target, name) === "" ? null : Number(value(target, name)));
    return {
      ...policies.get(target), least: number("least"), most: number("most"), utilisation: [number("low") / 100, number("high") / 100], catch_up: value(target, "catch_up"),
      out_cool_down: value(target, "out_cool_down"), in_cool_down: value(target, "in_cool_down"), out_step: number("out_step"), in_step: number("in_step"), events_per_s: number("events_per_s"),
    };
  }

  function tell(target, text, isDone) {
    const said = page().find("said", target);
    said.textContent = text;
    said.dataset.state = isDone ? "done" : "failed";
  }
  async function setPolicy(target, policy, done) {
    const { said, reason } = await window.tidegate.inquire.ask(`scaling/${target}/policy`, { method: "PUT", body: policy });
    if (said) {
      policies.set(target, said);
      setAt.set(target, window.tidegate.hubNow());
      touched.delete(target);
    }
    tell(target, said ? done : `Nothing was changed: ${reason}`, Boolean(said));
    page().again();
  }

  async function plan(target) {
    const executors = Number(value(target, "executors")), lasts = value(target, "for");
    const body = { executors, ...(lasts ? { for: lasts } : {}) };
    planned = null;
    const { said, reason } = await window.tidegate.inquire.ask(`scaling/${target}/scale?dry_run=true`, { method: "POST", body });
    if (said) planned = { target, body, said };
    showPlan(target, reason);
  }
  function showPlan(target, reason) {
    const box = page().find("plan", target);
    if (!planned) {
      const text = reason ? [make("strong", "", "This can\u2019t be ordered"), make("p", "", reason)] : [];
      box.replaceChildren(...(text.length ? [judged("refused", text)] : []));
      return;
    }
    const parts = [make("strong", "", "What would change"), make("p", "", `${planned.said.changes}.`)];
    if (planned.said.against.length) {
      const list = make("ul");
      for (const each of planned.said.against) list.append(make("li", "", each));
      parts.push(make("span", "is-bad", "What stands against it"), list);
    } else parts.push(make("p", "quiet", "Nothing that is known stands against it."));
    const confirm = make("button", "copy", `Yes, order ${planned.body.executors}`), cancel = make("button", "copy", "No");
    for (const [button, ask] of [[confirm, "order"], [cancel, "cancel"]]) {
      button.type = "button";
      Object.assign(button.dataset, { scalingAsk: ask, target });
    }
    const asks = make("div", "asks");
    asks.append(confirm, cancel);
    box.replaceChildren(judged("accepted", [...parts, asks]));
  }
  function judged(state, parts) {
    const box = make("div", "judgement");
    box.dataset.state = state;
    box.append(...parts);
    return box;
  }
  async function order(target) {
    if (!planned || planned.target !== target) return;
    const { body } = planned;
    planned = null;
    showPlan(target);
    const { said, reason } = await window.tidegate.inquire.ask(`scaling/${target}/scale`, { method: "POST", body });
    if (said) inputOf(target, "executors").value = "";
    tell(target, said ? `Ordered: ${said.executors} executors${said.until ? ` until ${window.tidegate.show.clock(said.until)}` : ""}.` : `Nothing was ordered: ${reason}`, Boolean(said));
  }
  async function release(target) {
    const { reason } = await window.tidegate.inquire.ask(`scaling/${target}/scale`, { method: "DELETE" });
    tell(target, reason ? `Nothing was given back: ${reason}` : "Given back to the autoscaler.", !reason);
  }

  const asks = {
    plan, order, release,
    cancel: (target) => { planned = null; showPlan(target); },
    on: (target) => setPolicy(target, { ...policies.get(target), is_on: true, is_dry_run: false }, "The autoscaler decides, and its part acts."),
    "dry-run": (target) => setPolicy(target, { ...policies.get(target), is_on: true, is_dry_run: true }, "What would be done is said, and not done."),
    off: (target) => setPolicy(target, { ...policies.get(target), is_on: false }, "Executors stay as they are."),
    set: (target) => setPolicy(target, typed(target), "The policy is set."),
    reset: (target) => { touched.delete(target); tell(target, "", true); page().again(); },
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-scaling-ask]");
    if (button && policies.has(button.dataset.target)) asks[button.dataset.scalingAsk](button.dataset.target);
  });
  document.addEventListener("input", (event) => {
    const { scalingInput: name, target } = event.target.dataset || {};
    if (!name) return;
    if (fields.includes(name)) touched.add(target);
    if (planned && !fields.includes(name)) asks.cancel(target);
    if (policies.has(target)) commands(target, null);
  });

  Object.assign(window.tidegate.scaling, { forms });
})();
