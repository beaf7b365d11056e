/* The whole board: one look from five metres says whether all is well, the next one what is wrong and where. */

import { useSyncExternalStore } from "react";
import type { Board, Frames } from "./board";
import type { StreamConfig } from "./config";
import { Help } from "./Help";
import { Incidents } from "./Incidents";
import { platform, streamLook } from "./judge";
import { Lost } from "./Lost";
import { Operations } from "./Operations";
import { Problems } from "./Problems";
import { StreamCard } from "./StreamCard";
import { Top } from "./Top";

export function App({ board, streams, missing }: { board: Board; streams: StreamConfig[]; missing: string[] }) {
  const picture = useSyncExternalStore(board.subscribe, board.picture);
  const { now, connection, frames } = picture;
  const then = connection === "live" ? now : (picture.toldAt ?? now);
  const looks = streams.map((stream) => streamLook(stream, frames, then, now));
  const verdict = platform(connection, frames.overview, looks, now);
  return (
    <main className="wall" data-connection={connection} data-streams={Math.min(streams.length, 7)}>
      <Lost picture={picture} />
      <div className="seen">
        <Top picture={picture} verdict={verdict} />
        <div className="troubles">
          <Problems overview={frames.overview?.data} missing={missing} now={now} />
          <Incidents held={frames.incidents} then={then} now={now} />
        </div>
        <div className="streams">
          {streams.map((stream, index) => (
            <StreamCard key={stream.name} stream={stream} look={looks[index]!} frames={frames} now={now}
              rates={board.rates.get(stream.name)?.since(now, historyOf(stream, frames)) ?? []} />
          ))}
          {streams.length ? null : <p className="quiet">There is no stream to show.</p>}
        </div>
        <Operations held={frames.operations} now={now} />
      </div>
      <Help />
    </main>
  );
}

const historyOf = (stream: StreamConfig, { ledger }: Frames) =>
  ledger?.data.streams.find((each) => each.name === stream.name)?.history ?? [];
