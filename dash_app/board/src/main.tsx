/* How does the board begin? What the server says in the page, one connection to the hub, one picture. */

import { createRoot } from "react-dom/client";
import "uplot/dist/uPlot.min.css";
import "./board.css";
import { App } from "./App";
import { Board } from "./board";
import { chosen, configOf, liveTopic, pushAddress } from "./config";
import { reloadIfNew } from "./version";

const element = document.getElementById("board");
if (!element) throw new Error("the page has no #board");
const config = configOf(element);
const { streams, missing } = chosen(config, location.search);
const topics = ["overview", "ledger", "quality", "lag", "operations", ...streams.flatMap((stream) => liveTopic(stream) ?? [])];
const board = new Board(pushAddress(config.push_port, location), topics, () => void reloadIfNew(element.dataset.version ?? ""));
createRoot(element).render(<App board={board} streams={streams} missing={missing} />);
