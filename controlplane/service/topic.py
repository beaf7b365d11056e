"""What has been told of one topic, and what does somebody need who has not heard all of it?

Updates since the last full one are remembered as they were sent: who has missed some gets those. They are put together to one full
update only when somebody needs that, once for all who do; a full one of a new look at ClickHouse would go to everybody.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import orjson
from websockets.frames import Frame as Packet
from websockets.frames import Opcode

from controlplane.contract.live import merged
from controlplane.contract.push import LiveFrame, Marks, Update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.live import Data
    from controlplane.contract.push import Frame

_PAINTS_REMEMBERED = 200
_MISSED_AT_MOST = 20
"""Who has missed more partial updates gets a full one: that is less to read."""
_REMEMBERED = 200


@dataclass(frozen=True)
class Encoded:
    """An update, ready to send to anyone."""

    seq: int
    text: str
    full: bool
    sent_ms: float

    @cached_property
    def packet(self) -> bytes:
        """As it is on the wire, the same to everybody: a server's frames are not masked, and not compressed here."""
        return Packet(Opcode.TEXT, self.text.encode()).serialize(mask=False)


@dataclass(eq=False)
class Topic:
    """One topic: what was told, and who has had nothing of it."""

    name: str
    seq: int = 0
    wanting: set[str] = field(default_factory=set)
    """Ids of the watchers that have had nothing yet."""
    recent: list[Encoded] = field(default_factory=list)
    """Since the last full one, which is the first."""
    marks: OrderedDict[int, tuple[Marks, float]] = field(default_factory=OrderedDict)
    """By `seq`: those of a frame, and when it was sent."""
    _folded: tuple[int, Data | None] = (0, None)
    """What `recent` comes to, up to which `seq`."""
    _whole: Encoded | None = None

    def told(self, data: Frame, now_ms: float) -> Encoded:
        """Number and encode what is told next."""
        self.seq += 1
        text = Update(topic=self.name, seq=self.seq, sent_at_ms=now_ms, data=data).model_dump_json()
        is_whole = not isinstance(data, LiveFrame) or data.full or data.reason is not None
        update = Encoded(self.seq, text, is_whole, now_ms)
        if isinstance(data, LiveFrame):
            self.marks[self.seq] = (data.marks, now_ms)
            if len(self.marks) > _PAINTS_REMEMBERED:
                self.marks.popitem(last=False)
        self._remember(update)
        return update

    def _remember(self, update: Encoded) -> None:
        if update.full:
            self.forget()
            self.recent = [update]
        elif self.recent:
            if len(self.recent) >= _REMEMBERED and (whole := self.whole()) is not None:
                self.recent = [whole]
            self.recent.append(update)

    def whole(self) -> Encoded | None:
        """All that is known, as one full update of the newest `seq`; None while there was no full one."""
        if len(self.recent) <= 1:
            return self.recent[0] if self.recent else None
        newest = self.recent[-1]
        if self._whole is None or self._whole.seq != newest.seq:
            done, data = self._folded
            for update in self.recent:
                if update.seq > done:
                    data = merged(data, orjson.loads(update.text)["data"])
            self._folded = (newest.seq, data)
            told = {"type": "update", "topic": self.name, "seq": newest.seq, "sent_at_ms": newest.sent_ms}
            text = orjson.dumps({**told, "data": {**(data or {}), "full": True}}).decode()
            self._whole = Encoded(newest.seq, text, full=True, sent_ms=newest.sent_ms)
        return self._whole

    def forget(self) -> None:
        """What was told is old: whoever comes now needs a new look."""
        self.recent, self._folded, self._whole = [], (0, None), None

    def after(self, seq: int) -> Sequence[Encoded] | None:
        """What was told since, the oldest first; None when that is not remembered, or a full update is less."""
        if not self.recent or not self.recent[0].seq - 1 <= seq <= self.seq:
            return None
        missed = [update for update in self.recent if update.seq > seq]
        return None if len(missed) > _MISSED_AT_MOST else missed
