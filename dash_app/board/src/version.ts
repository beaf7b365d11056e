/* Is this still the board that the server serves? A screen on a wall is open for months. Asked whenever the hub is heard again or
   refuses, for then the platform may have been restarted with another board, and now and then. It is loaded anew once; if that did
   not help, it stays. */

export const ASKED_EVERY_MS = 5 * 60_000;
const RELOADED_FOR = "tidegate-board-reloaded-for";

export async function reloadIfNew(mine: string): Promise<void> {
  try {
    const answer = await fetch("/live/assets/version", { cache: "no-store", redirect: "manual" });
    if (!answer.ok) return;
    const theirs = (await answer.text()).trim();
    if (theirs === mine || sessionStorage.getItem(RELOADED_FOR) === theirs) return;
    sessionStorage.setItem(RELOADED_FOR, theirs);
    location.reload();
  } catch {
    /* The console is away: it is asked again when the hub is heard the next time. */
  }
}
