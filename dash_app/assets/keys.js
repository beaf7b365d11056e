/* Theme, keyboard, and which page this is: its link is marked and its name is the document's title. The theme follows the system
   until someone chooses; the choice is kept in this browser. */
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

  const linkOf = (place) => document.querySelector(`.nav a[href="${place.path}"], .nav a[href^="${place.path}/"]`);
  function helpText() {
    const pages = window.tidegate.address.places().map(({ key, name, word }) => `g ${key}  ${name}${word ? ` (${word})` : ""}`);
    return [...pages, "t    light or dark", "?    this help", "Esc  close"].join("\n");
  }
  let waiting = "";
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const panel = document.getElementById("help"), place = waiting === "g" && window.tidegate.address.places().find(({ key }) => key === event.key);
    if (place) linkOf(place).click();
    else if (event.key === "t") toggle();
    else if (event.key === "?") { panel.textContent = helpText(); panel.hidden = !panel.hidden; }
    else if (event.key === "Escape") panel.hidden = true;
    waiting = event.key === "g" ? "g" : "";
  });

  function show() {
    if (!document.getElementById("console")) return;
    const { place, named } = window.tidegate.address.here();
    for (const link of document.querySelectorAll(".nav-link")) {
      const isHere = Boolean(place) && link === linkOf(place);
      link.classList.toggle("is-here", isHere);
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = [place ? place.name : "No such page", named, "Tidegate"].filter(Boolean).join(" \u00b7 ");
  }
  window.addEventListener("tidegate-address", show);
  const start = () => { if (!document.getElementById("console")) { setTimeout(start, 30); return; } apply(); show(); };
  start();
  apply();
})();
