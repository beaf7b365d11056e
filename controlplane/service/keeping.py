"""How does a history that is held in memory get into its file? What could not be saved is put back for the next time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Each = TypeVar("Each")
Given_contra = TypeVar("Given_contra", contravariant=True)


class History(Protocol[Each]):
    """Remembers what is not saved yet."""

    def take_unsaved(self) -> list[Each]:
        """Take what nobody has taken yet."""

    def put_back(self, saved: list[Each], /) -> None:
        """Give it back."""


class KeptIn(Protocol[Given_contra]):
    """Saves; False if that cannot be."""

    def save(self, kept: Iterable[Given_contra], now: datetime, /) -> bool:
        """Save all of it."""


def save_unsaved(history: History[Each], file: KeptIn[Each], now: datetime) -> bool:
    """Save what is not saved yet; False if that cannot be."""
    unsaved = history.take_unsaved()
    is_saved = not unsaved or file.save(unsaved, now)
    if not is_saved:
        history.put_back(unsaved)
    return is_saved
