"""What may be wrong with a request? A refusal with its status and its reason, or the mistakes of its events, each in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MISTAKES_LISTED = 10_000
"""Of one request; how many there are is said in any case."""
_SHOWN_AT_MOST = 80
_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", bytes: "bytes"}


class Misfit(NamedTuple):
    """A value that does not fit its type."""

    path: str
    """Of fields, such as `basket.lines[2].price`; empty: the event itself."""
    expected: str
    came: str


class MisfitError(ValueError):
    """An event that does not fit its schema, with everything that is wrong with it."""

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        super().__init__()
        self.misfits = misfits

    def __str__(self) -> str:
        """Everything in one line."""
        return "; ".join(f"{each.path}: expected {each.expected}, came {each.came}" for each in self.misfits)


class BrokenError(MisfitError):
    """Bytes in which no event can be made out, so that what comes after them cannot be either."""


class Record(NamedTuple):
    """What Kafka is to have of an event."""

    topic: str
    key: str
    value: bytes
    """Framed Avro."""
    sender: str


@dataclass(frozen=True)
class Limits:
    """Of one request."""

    events: int
    bytes: int
    """Of its body, unpacked."""

    def require(self, *, events: int = 0, size: int = 0) -> None:
        """Is it not too much?

        Raises:
            RefusedError: 413 if it is.
        """
        if events > self.events:
            raise RefusedError(413, f"the body has more than {self.events} events (TIDEGATE_COLLECTOR_BATCH, _WAITING)")
        if size > self.bytes:
            raise RefusedError(413, f"the body has more than {self.bytes} bytes, unpacked (TIDEGATE_COLLECTOR_BODY)")


@dataclass
class Judged:
    """The events of a request: those that fit, and what is wrong with the others."""

    sent: int = 0
    fitting: list[tuple[str, bytes]] = field(default_factory=list)
    """Key and framed Avro of each."""
    mistakes: list[dict[str, Any]] = field(default_factory=list)
    """Of each event (`index`, from 0) that does not fit, every field."""
    mistaken: int = 0
    """Events that do not fit."""

    def fits(self, key: str, value: bytes) -> None:
        """The next event is in order."""
        self.sent += 1
        self.fitting.append((key, value))

    def misfits(self, error: MisfitError) -> None:
        """The next event is not."""
        room = max(0, MISTAKES_LISTED - len(self.mistakes))
        self.mistakes += [{"index": self.sent, **each._asdict()} for each in error.misfits[:room]]
        self.sent += 1
        self.mistaken += 1


class RefusedError(Exception):
    """A request that is not taken: status, reason, and whatever else helps."""

    def __init__(
        self, status: int, detail: str, *, retry_after_s: int | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after_s = status, detail, retry_after_s
        self.more = more or {}

    def anew(self) -> RefusedError:
        """The same for another request: an exception that is raised again and again keeps every frame that it went through."""
        return RefusedError(self.status, self.detail, retry_after_s=self.retry_after_s, more=self.more)


def misfit(expected: str, value: Any) -> MisfitError:  # noqa: ANN401 (whatever came)
    """A value that is something else than was expected."""
    return MisfitError([Misfit("", expected, came(value))])


def came(value: Any) -> str:  # noqa: ANN401 (whatever came)
    """What came, in a few words that can be written down whatever it was."""
    if value is None:
        return "null"
    kind = _NAMES.get(type(value), "")
    if isinstance(value, (dict, list, bytes)):
        return f"{kind} of {len(value)}"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    text = text if len(text) <= _SHOWN_AT_MOST else f"{text[:_SHOWN_AT_MOST]}…"
    return f"{text} ({kind})" if kind else text
