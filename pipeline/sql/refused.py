"""Why is a query not run, or not answered? Each says what, and what to do instead."""

from __future__ import annotations


class QueryRefusedError(Exception):
    """It is not run, or the engine refused it; the text is for people."""

    status = 422


class NotYoursError(QueryRefusedError):
    """Who asks may not read that."""

    status = 403


class NoLongerThereError(QueryRefusedError):
    """A version that can't be read any more."""

    status = 410


class TooMuchError(QueryRefusedError):
    """It took too long, or too much memory."""

    status = 413


class AwayError(QueryRefusedError):
    """The engine does not answer, or is busy with others."""

    status = 503
