/* What is open and what is typed in is in the address, so that Back works and a copied link opens the same form. A `<details
   data-kept="plan">` is open while `?open=` names it; `field(input, "subject", "*")` keeps what an input says, but for what it says of
   itself. */
(function () {
  "use strict";
  const { address } = window.tidegate;
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
    const show = () => { const wanted = address.get(name) || itself; if (document.activeElement !== input && input.value !== wanted) input.value = wanted; };
    show();
    input.showKept = show;
    input.dataset.keptAs = name;
    input.addEventListener("input", () => address.set({ [name]: input.value === itself ? "" : input.value }));
    return input;
  }
  address.onChange(() => { for (const each of document.querySelectorAll("[data-is-kept], [data-kept-as]")) each.showKept(); });
  new MutationObserver(() => { for (const box of document.querySelectorAll("details[data-kept]:not([data-is-kept])")) details(box); })
    .observe(document.documentElement, { childList: true, subtree: true });
  window.tidegate.kept = { field };
})();
