/* The header's own: panels that open below their button, the stream, the range, the theme, and the navigation on a narrow screen. */
(function () {
  "use strict";
  const { address, range, look, whenShown } = window.tidegate, make = window.tidegate.make.element;
  const byId = (id) => document.getElementById(id);

  /* The browser's own popover: Esc and a click elsewhere close it, and the focus goes back to its button. */
  function panel(button, box, opened = () => {}) {
    box.popover = "auto";
    button.popoverTargetElement = box;
    button.setAttribute("aria-expanded", "false");
    box.addEventListener("toggle", ({ newState }) => {
      const isOpen = newState === "open";
      button.setAttribute("aria-expanded", String(isOpen));
      if (!isOpen) return;
      opened();
      const place = button.getBoundingClientRect();
      box.style.top = `${place.bottom + 6}px`;
      box.style.left = `${Math.max(8, Math.min(place.left, window.innerWidth - box.offsetWidth - 8))}px`;
    });
  }
  function put(element, text) { if (element.textContent !== text) element.textContent = text; }

  /* The stream keeps the page: /quality/shop to /quality/flights, /lag/lake%20shop to /lag/lake%20flights. */
  function streamPicker() {
    const box = byId("stream-pick"), picker = make("select", "top-button");
    picker.id = "stream";
    picker.setAttribute("aria-label", "Stream");
    box.append(picker);
    picker.addEventListener("change", () => {
      const { place, named, stream } = address.here(), other = picker.value;
      const now = place.names === "one" ? named.slice(0, named.length - stream.length) + other : other;
      address.go(now ? `${place.path}/${encodeURIComponent(now)}` : place.path);
    });
    return function show() {
      const { place, stream } = address.here(), isOf = Boolean(place) && (place.names === "stream" || (place.names === "one" && stream !== ""));
      box.hidden = !isOf;
      if (!isOf) return;
      const hasAll = place.names === "stream" && !place.mustName;
      picker.replaceChildren(...(hasAll ? [new Option("All streams", "")] : []), ...address.streams().map(({ name }) => new Option(name, name)));
      picker.value = stream;
    };
  }

  function rangePicker() {
    const button = byId("range-open"), box = document.body.appendChild(make("form", "panel range-panel"));
    const row = box.appendChild(make("div", "range-words")), inputs = {};
    panel(button, box, () => {
      const { word, minutes } = range.get(), { start, end } = minutes === null ? { start: null, end: null } : range.ends();
      row.replaceChildren(...range.choices().map(([each, text]) => {
        const choice = make("button", "copy", text);
        choice.type = "button";
        choice.dataset.range = each;
        choice.setAttribute("aria-pressed", String(each === word));
        choice.addEventListener("click", () => { range.set({ range: each }); box.hidePopover(); });
        return choice;
      }));
      for (const [name, at] of [["since", start], ["until", end]]) inputs[name].value = at === null ? "" : new Date(at).toISOString().slice(0, 16);
      inputs.until.setCustomValidity("");
    });
    box.setAttribute("aria-label", "Time range");
    for (const [name, text] of [["since", "from"], ["until", "to"]]) {
      const label = box.appendChild(make("label", "", `${text} `));
      inputs[name] = label.appendChild(make("input", "field"));
      Object.assign(inputs[name], { type: "datetime-local", name, required: true });
      label.append(" UTC");
    }
    const go = box.appendChild(make("button", "copy", "Show"));
    go.type = "submit";
    inputs.since.addEventListener("input", () => inputs.until.setCustomValidity(""));
    inputs.until.addEventListener("input", () => inputs.until.setCustomValidity(""));
    box.addEventListener("submit", (event) => {
      event.preventDefault();
      if (inputs.since.value < inputs.until.value) { range.set({ since: `${inputs.since.value}Z`, until: `${inputs.until.value}Z` }); box.hidePopover(); return; }
      inputs.until.setCustomValidity("It has to end after it begins.");
      inputs.until.reportValidity();
    });
    return function show() {
      button.hidden = !range.isThere();
      if (button.hidden) return;
      const { label, since } = range.get();
      put(button, since === null && label !== "All" ? `Last ${label}` : label === "All" ? "All time" : label);
      button.title = since === null ? "Time range that is shown" : "Time range that is shown, UTC";
    };
  }

  /* On a phone the navigation is a drawer. */
  function menu() {
    const nav = byId("nav"), button = byId("menu"), root = document.documentElement;
    function set(isOpen) {
      root.classList.toggle("has-drawer", isOpen);
      button.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) nav.querySelector("a").focus();
    }
    set(false);
    button.addEventListener("click", () => set(!root.classList.contains("has-drawer")));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && root.classList.contains("has-drawer")) { set(false); button.focus(); }
    });
    document.addEventListener("click", (event) => {
      if (root.classList.contains("has-drawer") && !event.target.closest("#nav, #menu")) set(false);
    });
    address.onChange(() => { if (root.classList.contains("has-drawer")) set(false); });
  }

  whenShown(() => {
    const shows = [streamPicker(), rangePicker()], show = () => { for (const each of shows) each(); };
    menu();
    byId("theme").addEventListener("click", look.toggle);
    byId("fold").addEventListener("click", look.fold);
    panel(byId("person-open"), byId("person"));
    address.onChange(show);
    show();
  });
  new MutationObserver(() => window.tidegate.pageChanged()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  window.tidegate.panel = panel;
})();
