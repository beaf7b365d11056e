/* Where is the reader? Everything that a page shows is in its address, so that Back works and a copied link opens the same: which
   page, what is named of it, and in the query what was chosen. Everyone who reads or writes the address does it here.

   get("hop")                        what was chosen, or ""
   set({ hop: "dead", rule: "" })    chosen now ("" or null: not any more); the page stays, no step back is added
   set({ record: 7 }, { isStep: true })   the same, and Back undoes it
   go("/lake/shop?version=3")        to another page, without loading the console anew
   push("/lag/lake%20shop")          to what the page itself can show, without fetching it
   here()                            { place, named, stream }; place is a row of dash_app/pages/places.py, or undefined
   onArrival(each)                   each() when another page was gone to, before anybody draws it: it may still change the address
   onChange(draw)                    draw() after each change, by whomever; also as the window's event "tidegate-address" */
(function () {
  "use strict";
  const CHANGED = "tidegate-address";
  const query = () => new URLSearchParams(location.search);
  const root = () => document.getElementById("console");
  let held = null;
  const told = () => { held = held || { places: JSON.parse(root().dataset.places), streams: JSON.parse(root().dataset.streams) }; return held; };
  const changed = () => window.dispatchEvent(new CustomEvent(CHANGED));

  function put(href, isStep) {
    if (href === location.pathname + location.search) return;
    if (isStep) window.history.pushState({}, "", href);
    else window.history.replaceState(window.history.state, "", href);
    changed();
  }
  function withChosen(chosen, path = location.pathname, from = query()) {
    for (const [name, value] of Object.entries(chosen)) {
      if (value === null || value === undefined || value === "") from.delete(name);
      else from.set(name, value);
    }
    const text = from.toString();
    return text ? `${path}?${text}` : path;
  }
  function go(href) {
    window.history.pushState({}, "", href);
    /* What Dash's own links say to its location. */
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }
  function decoded(part) {
    try { return decodeURIComponent(part); } catch { return part; }
  }
  function placeAt(path) {
    const [first = "", named = ""] = path.split("/").filter(Boolean).map(decoded);
    const place = told().places.find((each) => each.path === `/${first}`);
    /* `lake shop` is of a stream too. */
    const stream = told().streams.find(({ name }) => named === name || (place && place.names === "one" && named.endsWith(` ${name}`)));
    return { place, named, stream: stream ? stream.name : "" };
  }

  /* A link to a page of the console never loads the console anew, whoever has drawn it. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='/']");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target || !root()) return;
    const { pathname } = new URL(link.href);
    if (pathname === "/live" || !placeAt(pathname).place) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  window.addEventListener("popstate", changed);
  const arrivals = [];
  window.addEventListener("_dashprivate_pushstate", () => { for (const each of arrivals) each(); changed(); });

  const address = {
    get: (name) => query().get(name) || "",
    set: (chosen, { isStep = false } = {}) => put(withChosen(chosen), isStep),
    href: withChosen,
    go,
    push: (href) => put(href, true),
    here: () => placeAt(location.pathname),
    places: () => told().places,
    streams: () => told().streams,
    onArrival: (each) => arrivals.push(each),
    onChange: (draw) => window.addEventListener(CHANGED, draw),
  };
  /* Dash lays the console out after its scripts are there. */
  function whenShown(draw) {
    if (root()) draw();
    else setTimeout(() => whenShown(draw), 20);
  }
  window.tidegate = { ...window.tidegate, address, whenShown };
})();
