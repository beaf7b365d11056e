/* A table as it was at a time: whoever knows when something went wrong need not look for the version. */
(function () {
  "use strict";
  const make = (...how) => window.tidegate.make.element(...how);
  const of = () => window.tidegate.lakeVersions;
  let said = "";

  function form(stream) {
    const made = make("form", "asks"), table = make("select", "field"), at = make("input", "field"), go = make("button", "copy", "Show");
    table.setAttribute("aria-label", "Which table");
    table.dataset.lakeAtTable = stream;
    Object.assign(at, { type: "text", placeholder: "2026-03-01T08:00", required: true, title: "ISO 8601; UTC when it names no other zone", autocomplete: "off" });
    at.setAttribute("aria-label", "As of this time, UTC");
    at.dataset.lakeAtTime = stream;
    go.type = "submit";
    made.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { said: found, reason } = await of().ask(`${stream}/${table.value}/rows?limit=1&at=${encodeURIComponent(at.value.trim())}`);
      said = reason || "";
      if (found) of().choose({ table: table.value, version: found.version, with: null, show: "rows", where: null });
      tick();
    });
    made.append("as of ", at, table, go, make("span", "is-bad lake-at-said"));
    return [made];
  }
  function tick() {
    const box = document.querySelector("[data-lake-at]");
    if (!box || !of()) return;
    const stream = box.dataset.lakeAt;
    window.tidegate.make.redraw(box, stream, () => form(stream));
    const select = box.querySelector("select"), tables = of().stream() === stream ? of().tables() : [];
    window.tidegate.make.redraw(select, tables.join(" "), () => tables.map((each) => new Option(each, each)));
    box.hidden = !tables.length;
    const words = box.querySelector(".lake-at-said");
    if (words.textContent !== said) words.textContent = said;
  }
  setInterval(tick, 500);
})();
