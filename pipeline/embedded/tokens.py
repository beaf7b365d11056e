"""What are the words of a statement?

ClickHouse's lexer, as far as it takes to tell keywords from what is written in strings, quoted names and comments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    rb"""
    (?P<space>\s++|--[^\n]*+|\#[ !][^\n]*+|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`|\$(?P<tag>\w*+)\$.*?\$(?P=tag)\$)
    |(?P<bare>[A-Za-z_][A-Za-z0-9_$]*+|\d[\w.]*+|.)
    """,
    re.DOTALL | re.VERBOSE,
)


class Token(NamedTuple):
    """A word, number or mark of a statement."""

    keyword: bytes
    """Upper case; empty for what is quoted, which is never a keyword."""
    text: bytes
    start: int
    end: int
    depth: int
    """How many brackets are open around it."""


NOTHING = Token(b"", b"", 0, 0, 0)


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of a statement, read as they are asked for: what follows may be binary data."""
    depth = 0
    for match in _TOKEN.finditer(text):
        if match["space"] is not None:
            continue
        keyword = (match["bare"] or b"").upper()
        depth -= keyword in (b")", b"]", b"}")
        yield Token(keyword, match[0], match.start(), match.end(), depth)
        depth += keyword in (b"(", b"[", b"{")
