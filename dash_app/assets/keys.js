/* Theme and keyboard. The theme follows the system until someone chooses; the choice is kept in this browser. */
(function () {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("tidegate-theme");
  function apply() {
    const theme = chosen() || (dark.matches ? "dark" : "light");
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = theme === "dark" ? "Light" : "Dark";
    if (window.tidegate) window.tidegate.pageChanged();
  }
  function toggle() {
    localStorage.setItem("tidegate-theme", root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  }
  dark.addEventListener("change", apply);
  document.addEventListener("click", (event) => { if (event.target.id === "theme") toggle(); });

  const places = {
    o: { name: "overview", link: '[href="/"]' },
    l: { name: "live", link: '[href^="/live/"]' },
    d: { name: "lag (delay)", link: '[href="/lag"]' },
    p: { name: "Spark", link: '[href="/spark"]' },
    c: { name: "scaling (capacity)", link: '[href="/scaling"]' },
    b: { name: "ledger (the books)", link: '[href="/ledger"]' },
    u: { name: "quality", link: '[href="/quality"]' },
    q: { name: "quarantine", link: '[href="/quarantine"]' },
    s: { name: "schemas", link: '[href="/schemas"]' },
    k: { name: "lake", link: '[href="/lake"]' },
    f: { name: "backfills", link: '[href="/backfills"]' },
    x: { name: "trials (experiments)", link: '[href="/trials"]' },
    w: { name: "operations (work)", link: '[href="/operations"]' },
    e: { name: "SQL (enquire)", link: '[href="/sql"]' },
    r: { name: "audit (the record)", link: '[href="/audit"]' },
    a: { name: "alerts", link: '[href="/alerts"]' },
  };
  const help = [...Array.from(Object.entries(places), ([key, { name }]) => `g ${key}  ${name}`), "t    light or dark", "?    this help", "Esc  close"].join("\n");
  const hasPages = ["/alerts", "/backfills", "/lag", "/lake", "/ledger", "/operations", "/quality", "/quarantine", "/schemas", "/spark", "/trials"];
  const isHere = (href) => href === location.pathname || (hasPages.includes(href) && location.pathname.startsWith(`${href}/`));
  let waiting = "";
  function go(selector) { const link = document.querySelector(selector); if (link) link.click(); }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const panel = document.getElementById("help");
    if (waiting === "g" && places[event.key]) go(`.nav a${places[event.key].link}`);
    else if (event.key === "t") toggle();
    else if (event.key === "?") { panel.textContent = help; panel.hidden = !panel.hidden; }
    else if (event.key === "Escape") panel.hidden = true;
    waiting = event.key === "g" ? "g" : "";
  });
  new MutationObserver(() => {
    for (const link of document.querySelectorAll(".nav-link")) link.classList.toggle("is-here", isHere(link.getAttribute("href")));
    const button = document.getElementById("theme");
    if (button && !button.dataset.ready) { button.dataset.ready = "yes"; apply(); }
  }).observe(root, { childList: true, subtree: true });
  apply();
})();
