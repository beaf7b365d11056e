/* How does the board begin? What the server says in the page, one connection to the hub, one picture. */

import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";
import "./board.css";
import { App } from "./App";
import { Board } from "./board";
import { chosen, configOf, liveTopic, pushAddress } from "./config";
import { ASKED_EVERY_MS, reloadIfNew } from "./version";

/* An empty screen says nothing at all: a mistake of the board's own is told, and it begins anew. */
const BEGINS_ANEW_AFTER_MS = 30_000;
function failed(error: unknown): void {
  const said = document.body.appendChild(document.createElement("p"));
  said.className = "lost";
  said.textContent = `The board has failed and begins anew in half a minute: ${String(error)}`;
  reportError(error);
  setTimeout(() => location.reload(), BEGINS_ANEW_AFTER_MS);
}

const element = document.getElementById("board");
if (!element) throw new Error("the page has no #board");
const config = configOf(element);
const { streams, missing } = chosen(config, location.search);
const topics = ["overview", "ledger", "quality", "lag", "operations", "incidents", "latency", ...streams.flatMap((stream) => liveTopic(stream) ?? [])];
const keepNew = (): void => void reloadIfNew(element.dataset.version ?? "");
const board = new Board(pushAddress(config.push_port, location), topics, keepNew);
setInterval(keepNew, ASKED_EVERY_MS);
createRoot(element, { onUncaughtError: failed }).render(<App board={board} streams={streams} missing={missing} />);
