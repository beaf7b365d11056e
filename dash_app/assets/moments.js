/* An age that stays true while nothing else of the page is drawn anew, and how a duration that may be 0 or unknown is written. */
(function () {
  "use strict";
  function moment(before, at, kind = "ago") {
    const element = document.createElement("span");
    Object.assign(element.dataset, { momentAt: at, before, kind });
    tell(element);
    return element;
  }
  function tell(element) {
    const { seconds, clock } = window.tidegate.show, { momentAt: at, before, kind } = element.dataset;
    const gone = (window.tidegate.hubNow() - Date.parse(at)) / 1000;
    element.textContent = `${before}${seconds(Math.max(1, Math.round(kind === "until" ? -gone : gone)))}${kind === "ago" ? " ago" : ""}`;
    element.title = clock(at);
  }
  const tellAges = () => document.querySelectorAll("[data-moment-at]").forEach(tell);

  /* Of a duration: 0 is 0 s, and half a second is not 500 ms beside minutes. */
  function lasting(value) {
    if (value === null || value === undefined) return null;
    if (value < 0.05) return "0\u00a0s";
    return value < 10 ? `${value.toFixed(1)}\u00a0s` : window.tidegate.show.seconds(value).replace(" ", "\u00a0");
  }

  window.tidegate.moments = { moment, tellAges, lasting };
  setInterval(tellAges, 1000);
})();
