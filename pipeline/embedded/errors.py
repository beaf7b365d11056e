"""How does ClickHouse say no?

By `Code: N. DB::Exception: text. (NAME)`, the code once more in a header, and an HTTP status chosen by the code.
Clients read all three, so errors of our own take one of ClickHouse's codes too.
"""

from __future__ import annotations

import re

UNKNOWN_TYPE_OF_QUERY = 78
SYNTAX_ERROR = 62
BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
CANNOT_DECOMPRESS = 271
INTO_OUTFILE_NOT_ALLOWED = 227
ACCESS_DENIED = 497
READONLY = 164
AUTHENTICATION_FAILED = 516
TOO_LARGE = 307
OUT_OF_MEMORY = 241
CANCELLED = 394
UNKNOWN_EXCEPTION = 1002

_NAMES = {
    UNKNOWN_TYPE_OF_QUERY: "UNKNOWN_TYPE_OF_QUERY",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
    INTO_OUTFILE_NOT_ALLOWED: "INTO_OUTFILE_NOT_ALLOWED",
    ACCESS_DENIED: "ACCESS_DENIED",
    READONLY: "READONLY",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    TOO_LARGE: "TOO_MANY_BYTES",
    OUT_OF_MEMORY: "MEMORY_LIMIT_EXCEEDED",
    CANCELLED: "QUERY_WAS_CANCELLED",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}

# The lists of exceptionCodeToHTTPStatus in ClickHouse's src/Server/HTTP, with the codes of src/Common/ErrorCodes.cpp.
_BAD_REQUEST = {6, 25, 26, 27, 36, 38, 41, 43, 53, 62, 69, 70, 71, 72, 117, 131, 271, 349, 378, 441, 456, 457}
_NOT_FOUND = {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336}
_STATUS = {
    **dict.fromkeys(_BAD_REQUEST, 400),
    **dict.fromkeys(_NOT_FOUND, 404),
    ACCESS_DENIED: 403,
    AUTHENTICATION_FAILED: 403,
    NOT_IMPLEMENTED: 501,
    TOO_LARGE: 413,
    159: 504,
}
_CODED = re.compile(r"Code: (?P<code>\d+)\. .*", re.DOTALL)


class ServerError(Exception):
    """What a client is told: a ClickHouse code, a text, and the HTTP status that ClickHouse gives that code."""

    def __init__(self, code: int, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status or _STATUS.get(code, 500)


def refusal(code: int, why: str, status: int | None = None) -> ServerError:
    """An error of our own, written as ClickHouse writes one."""
    return ServerError(code, f"Code: {code}. DB::Exception: {why}. ({_NAMES[code]})", status)


def from_engine(error: Exception) -> ServerError:
    """The engine's error, without what chDB's Python layer put before it."""
    found = _CODED.search(str(error))
    if found is None:
        return refusal(UNKNOWN_EXCEPTION, str(error) or type(error).__name__)
    return ServerError(int(found["code"]), found[0].strip())
