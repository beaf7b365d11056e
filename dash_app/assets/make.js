/* What pages that draw themselves are made of: elements, and a button that copies a command. */
(function () {
  "use strict";
  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined && text !== null) made.textContent = text;
    return made;
  }
  /* Rebuilt only when it says something new: an open record stays open, a text that is being copied stays selected. */
  const drawn = new WeakMap();
  function redraw(box, key, build) {
    if (!box || drawn.get(box) === key) return;
    drawn.set(box, key);
    const focus = box.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    box.replaceChildren(...build());
    if (focus) refocus(box, focus);
    requestAnimationFrame(reach);
  }
  /* Who has the focus on a button of a row keeps it when the row is drawn anew; on another row's it must not land. */
  function nameOf(control) {
    const row = control.closest("tr, li, article, section");
    return JSON.stringify([control.tagName, control.type, control.textContent, control.name, { ...control.dataset }, row && { ...row.dataset }]);
  }
  function refocus(box, name) {
    const same = Array.from(box.querySelectorAll("a, button, input, select, summary")).filter((each) => nameOf(each) === name);
    if (same.length === 1) same[0].focus({ preventScroll: true });
  }
  function copyButton(command) {
    const button = element("button", "copy", "Copy as CLI");
    button.type = "button";
    button.title = command;
    button.dataset.copies = command;
    return button;
  }
  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("[data-copies]");
    if (!button) return;
    button.textContent = (await copied(button.dataset.copies)) ? "Copied" : button.dataset.copies;
    setTimeout(() => { button.textContent = "Copy as CLI"; }, 3000);
  });
  /* The clipboard is there on https and on this machine only; elsewhere the old way still works. */
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.body.appendChild(element("textarea"));
      area.value = text;
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      return isCopied;
    }
  }
  /* A link to a page of the console; address.js sees to it that the console is not loaded anew. */
  function link(text, href, className = "more") {
    const made = element("a", className, text);
    made.href = href;
    return made;
  }
  /* What scrolls can be reached and scrolled by keyboard. */
  function reach() {
    for (const box of document.querySelectorAll(".scrolls:not(.operation-scrolls)")) {
      const isWide = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
      if (isWide === (box.tabIndex === 0)) continue;
      if (isWide) Object.assign(box, { tabIndex: 0, role: "region", ariaLabel: "A table that is wider than its place" });
      else for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }
  setInterval(reach, 500);
  /* `commands` in backticks are set as code. */
  const prose = (text) => text.split("`").map((part, index) => (index % 2 ? element("code", "", part) : part));
  window.tidegate.make = { element, redraw, copied, copyButton, link, prose };
})();
