/* `?` says what the board shows and which keys and addresses it knows. */

import { useEffect, useRef } from "react";

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") dialog.current?.open ? dialog.current.close() : dialog.current?.showModal();
      if (event.key === "f") void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return (
    <dialog ref={dialog} className="help" aria-labelledby="help-title">
      <h2 id="help-title">Wall board</h2>
      <dl>
        <dt><kbd>?</kbd></dt><dd>this help</dd>
        <dt><kbd>f</kbd></dt><dd>full screen</dd>
        <dt><kbd>Esc</kbd></dt><dd>close</dd>
        <dt><code>?streams=shop,flights</code></dt><dd>these streams, in this order</dd>
        <dt><code>?theme=dark</code></dt><dd><code>dark</code> or <code>light</code>; else as the system is</dd>
      </dl>
      <p>Every number is of the last seconds. One that is older is hatched and says how old it is; one that nobody has measured says
        unknown, and why. While there is no connection all is dimmed, and a bar says of when it is. Times are UTC.</p>
      <p>Of each service level: whether it is kept, what is left of its 30 days' budget, and how many times faster than allowed that was
        spent in the last hour and the last six.</p>
      <form method="dialog"><button type="submit">Close</button></form>
    </dialog>
  );
}
