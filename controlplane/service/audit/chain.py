"""Is the record as it was written? The chain is walked from its first entry, beside the copy that Kafka has.

The chain alone shows an entry that was changed, taken out or put in. Only a copy shows that all which follow were written anew
too, or were cut off. Pure: entries in, verdict out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from controlplane.contract.audit import FIRST, hash_of
from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.audit import AuditEntry


class Wrong(StrEnum):
    """What is wrong with an entry."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    CUT_OFF = "cut off"


class ChainVerdict(Frozen):
    """Whether the chain holds."""

    holds: bool
    entries: int
    """That are right, from the first on."""
    hash: str
    """Of the last of them."""
    wrong: Wrong | None = None
    wrong_seq: int | None = None
    """The first entry that is wrong."""
    reason: str | None = None
    copied: int | None = None
    """Entries that were held against the copy; None: there was none to hold them against."""


def judged(entries: Iterable[AuditEntry], copy: Iterable[tuple[int, str]] | None) -> ChainVerdict:
    """Walk the chain.

    Args:
        entries: all of them, by number.
        copy: number and hash of the entries that a copy has, by number, as it was before `entries` were read; None: there is none.
    """
    copies = _Copies(copy)
    seq, sealed = 0, FIRST
    for entry in entries:
        found = _wrong(entry, seq, sealed) or _against(entry, copies.hash_of(entry.seq))
        if found is not None:
            return _broken(seq, sealed, copies, found)
        seq, sealed = entry.seq, entry.hash
    if (cut := copies.last()) is not None and cut > seq:
        reason = f"the record ends with entry {seq}, and its copy in Kafka has entries up to {cut}"
        return _broken(seq, sealed, copies, (Wrong.CUT_OFF, seq + 1, reason))
    return ChainVerdict(holds=True, entries=seq, hash=sealed, copied=copies.compared)


class _Copies:
    """A copy that is read beside the entries."""

    def __init__(self, copy: Iterable[tuple[int, str]] | None) -> None:
        self._rest = iter(copy or ())
        self._here = next(self._rest, None)
        self.compared = None if copy is None else 0

    def hash_of(self, seq: int) -> str | None:
        """Of the entry of that number; None if the copy has none."""
        while self._here is not None and self._here[0] < seq:
            self._here = next(self._rest, None)
        if self._here is None or self._here[0] != seq or self.compared is None:
            return None
        self.compared += 1
        return self._here[1]

    def last(self) -> int | None:
        """The number of its last entry, if it has more than were asked for."""
        last = self._here
        for each in self._rest:
            last = each
        return None if last is None else last[0]


_Found = tuple[Wrong, int, str]


def _wrong(entry: AuditEntry, seq: int, sealed: str) -> _Found | None:
    """What is wrong with an entry beside the one before it: its number, its own hash, the hash before."""
    if entry.seq != seq + 1:
        return Wrong.MISSING, seq + 1, f"entry {seq + 1} was taken out: after {seq} comes {entry.seq}"
    if hash_of(entry) != entry.hash:
        return Wrong.CHANGED, entry.seq, f"entry {entry.seq} was changed: its hash is not that of what it says"
    if entry.before != sealed:
        reason = f"entry {entry.seq} does not follow entry {seq}: one of both was put in, or written anew"
        return Wrong.INSERTED, entry.seq, reason
    return None


def _against(entry: AuditEntry, copied: str | None) -> _Found | None:
    if copied is None or copied == entry.hash:
        return None
    reason = f"entry {entry.seq} is not the one that Kafka has: it was put in, or written anew with all that follow"
    return Wrong.INSERTED, entry.seq, reason


def _broken(seq: int, sealed: str, copies: _Copies, found: _Found) -> ChainVerdict:
    wrong, wrong_seq, reason = found
    return ChainVerdict(
        holds=False,
        entries=seq,
        hash=sealed,
        copied=copies.compared,
        wrong=wrong,
        wrong_seq=wrong_seq,
        reason=reason,
    )
