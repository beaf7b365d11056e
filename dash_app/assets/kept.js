/* What is open and what is typed in is in the address, so that Back works and a copied link opens the same form. A `<details
   data-kept="plan">` is open while `?open=` names it; `field(input, "subject", "*")` keeps what an input says, but for what it says of
   itself. What is too long for an address is not kept, and the page says so. */
(function () {
  "use strict";
  const { address } = window.tidegate, AFTER_MS = 300, AT_MOST = 6000; /* of one field, as an address writes it */
  const opened = () => address.get("open").split(" ").filter(Boolean);

  function details(box) {
    const name = box.dataset.kept;
    box.dataset.isKept = "yes";
    const show = () => { if (box.open !== opened().includes(name)) box.open = !box.open; };
    show();
    box.addEventListener("toggle", () => {
      if (!box.isConnected || box.open === opened().includes(name)) return;
      address.set({ open: (box.open ? [...opened(), name] : opened().filter((each) => each !== name)).join(" ") });
    });
    box.showKept = show;
  }
  function field(input, name, itself = "") {
    let typing = 0, isTooLong = false;
    const said = () => (input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value);
    function show() {
      const kept = address.get(name), wanted = kept || itself;
      if (typing || (isTooLong && !kept) || document.activeElement === input || said() === wanted) return;
      if (input.type === "checkbox") input.checked = Boolean(wanted);
      else input.value = wanted;
      tooLong(false);
    }
    function write() {
      clearTimeout(typing);
      typing = 0;
      if (!input.isConnected) return;
      const text = said() === itself ? "" : said();
      tooLong(String(new URLSearchParams({ [name]: text })).length > AT_MOST);
      address.set({ [name]: isTooLong ? "" : text });
    }
    function tooLong(is) {
      if (is === isTooLong) return;
      isTooLong = is;
      if (is) input.insertAdjacentElement("afterend", window.tidegate.make.element("p", "quiet too-long", "This is too long for an address: a copied link opens the page without it."));
      else input.parentElement.querySelector(".too-long").remove();
    }
    show();
    input.showKept = show;
    input.dataset.keptAs = name;
    /* An address with each letter would have the page ask anew for each. What is left or done is written at once. */
    input.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(write, AFTER_MS); });
    input.addEventListener("change", write);
    return input;
  }
  address.onChange(() => { for (const each of document.querySelectorAll("[data-is-kept], [data-kept-as]")) each.showKept(); });
  new MutationObserver(() => { for (const box of document.querySelectorAll("details[data-kept]:not([data-is-kept])")) details(box); })
    .observe(document.documentElement, { childList: true, subtree: true });
  window.tidegate.kept = { field };
})();
