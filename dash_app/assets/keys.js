/* The keyboard, and which page this is: its link is marked and its name is the document's title. */
(function () {
  "use strict";
  const address = window.tidegate.address, look = window.tidegate.look;
  const linkOf = (place) => document.querySelector(`.nav a[href="${place.path}"], .nav a[href^="${place.path}/"]`);
  function helpText() {
    const pages = address.places().map(({ key, name, word }) => `g ${key}  ${name}${word ? ` (${word})` : ""}`);
    return [...pages, "/    search pages, streams, commands (Ctrl-K)", "t    light or dark", "?    this help", "Esc  close"].join("\n");
  }
  const isTyping = (element) => element.matches("input, select, textarea, [contenteditable]");
  let waiting = "";
  document.addEventListener("keydown", (event) => {
    if (isTyping(event.target) || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const panel = document.getElementById("help"), place = waiting === "g" && address.places().find(({ key }) => key === event.key);
    if (place) linkOf(place).click();
    else if (event.key === "t") look.toggle();
    else if (event.key === "?") { panel.textContent = helpText(); panel.hidden = !panel.hidden; }
    else if (event.key === "Escape") panel.hidden = true;
    waiting = event.key === "g" ? "g" : "";
  });

  function show() {
    if (!document.getElementById("console")) return;
    const { place, named } = address.here();
    for (const link of document.querySelectorAll("a.nav-link")) {
      const isHere = Boolean(place) && link === linkOf(place);
      link.classList.toggle("is-here", isHere);
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = [place ? place.name : "No such page", named, "Tidegate"].filter(Boolean).join(" \u00b7 ");
  }
  /* A page that not everybody may see is dimmed for who may not, with the reason (session.js). */
  function denied() {
    for (const place of address.places()) if (place.needs !== "read") linkOf(place).dataset.needs = place.needs;
  }
  address.onChange(show);
  window.tidegate.whenShown(() => { show(); denied(); });
})();
