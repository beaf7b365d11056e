/* Light or dark, and is the navigation folded? Loaded before the page's first paint, so that neither flashes. Both follow the system
   and the window until someone chooses; the choice is kept in this browser. */
(function () {
  "use strict";
  const root = document.documentElement, NARROW = "(max-width: 1280px)";
  function follow(key, query, whenSo, otherwise, name) {
    const media = window.matchMedia(query);
    const now = () => localStorage.getItem(key) || (media.matches ? whenSo : otherwise);
    const apply = () => { root.dataset[name] = now(); };
    const toggle = () => { localStorage.setItem(key, now() === whenSo ? otherwise : whenSo); apply(); };
    media.addEventListener("change", apply);
    window.addEventListener("storage", (event) => { if (event.key === key) apply(); });
    apply();
    return toggle;
  }
  const toggle = follow("tidegate-theme", "(prefers-color-scheme: dark)", "dark", "light", "theme");
  const fold = follow("tidegate-nav", NARROW, "folded", "open", "nav");
  window.tidegate = { ...window.tidegate, look: { toggle, fold } };
})();
