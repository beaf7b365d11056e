"""Why is a question about the lake not answered? Each refusal says what, where, and what there is instead."""

from __future__ import annotations


class LakeRefusedError(Exception):
    """Not answered; the text is for people."""

    status = 422


class UnknownTableError(LakeRefusedError):
    """No such stream or table."""

    status = 404


class GoneError(LakeRefusedError):
    """There was such a version, and it can't be read any more."""

    status = 410


class BusyError(LakeRefusedError):
    """Others read; or it took too long."""

    status = 503
