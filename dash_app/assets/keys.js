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

  const help = "g o  overview\ng l  live\ng b  ledger (the books)\ng u  quality\ng q  quarantine\ng s  schemas\ng k  lake\ng a  alerts\nt  light or dark\n?  this help\nEsc  close";
  const isHere = (href) => href === location.pathname || (["/alerts", "/ledger", "/quality", "/quarantine", "/schemas"].includes(href) && location.pathname.startsWith(`${href}/`));
  let waiting = "";
  function go(selector) { const link = document.querySelector(selector); if (link) link.click(); }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const panel = document.getElementById("help");
    if (waiting === "g" && event.key === "o") go('.nav a[href="/"]');
    else if (waiting === "g" && event.key === "l") go('.nav a[href^="/live/"]');
    else if (waiting === "g" && event.key === "b") go('.nav a[href="/ledger"]');
    else if (waiting === "g" && event.key === "u") go('.nav a[href="/quality"]');
    else if (waiting === "g" && event.key === "q") go('.nav a[href="/quarantine"]');
    else if (waiting === "g" && event.key === "a") go('.nav a[href="/alerts"]');
    else if (waiting === "g" && event.key === "s") go('.nav a[href="/schemas"]');
    else if (waiting === "g" && event.key === "k") go('.nav a[href="/lake"]');
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
