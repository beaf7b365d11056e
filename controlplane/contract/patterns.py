r"""How is a regular expression of Python's written, so that Java finds the same?

Great Expectations searches with Python's `re`, Spark with `java.util.regex`, and the two read the same text differently: `\d`
is every script's digits to one and ASCII's to the other, `$` stops before other line ends, `[a&&b]` is an intersection, `\v`
a class. So each piece is written as Java's equivalent, and a piece that has none is refused by name.
Source: Python 3.11 `re` and Java 17 `java.util.regex.Pattern`, as documented.
"""

from __future__ import annotations

import re
import warnings

_UNIX_LINES = "(?d)"
"""Only a line feed ends a line, as in Python."""
_SPACE = r"\t-\r\x1C-\x1F \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
"""What `str.isspace` says yes to."""
_WORD = r"\p{L}\p{N}_"
"""What `str.isalnum` says yes to, and the underscore."""
_CLASSES = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": _WORD, "s": _SPACE}
_ALONE = {"w": f"[{_WORD}]", "W": f"[^{_WORD}]", "s": f"[{_SPACE}]", "S": f"[^{_SPACE}]"}
_WHOLE = "(?!(?!)\U00020000)"
"""Always so. Java looks back by whole characters only where it sees one beyond 16 bits in the pattern."""
_BEHIND, _NOT_BEHIND = f"(?<={_WHOLE}", f"(?<!{_WHOLE}"
_EDGE = f"(?:{_BEHIND}[{_WORD}])(?![{_WORD}])|{_NOT_BEHIND}[{_WORD}])(?=[{_WORD}]))"
# Python's finds no place without an edge in an empty text.
_NO_EDGE = rf"(?!\A\z)(?:{_BEHIND}[{_WORD}])(?=[{_WORD}])|{_NOT_BEHIND}[{_WORD}])(?![{_WORD}]))"
_ALONE |= {"b": _EDGE, "B": _NO_EDGE, "A": r"\A", "Z": r"\z"}
_SAME = {"a": r"\x07", "f": r"\f", "n": r"\n", "r": r"\r", "t": r"\t", "v": r"\x0B"}
_HEX = {"x": 2, "u": 4, "U": 8}
_GROUPS = {**{each: each for each in ("(?:", "(?=", "(?!", "(?>")}, "(?<=": _BEHIND, "(?<!": _NOT_BEHIND}
_NAMED = re.compile(r"\(\?P<\w+>")
_COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
_SPECIAL_IN_CLASS = "[]&^-\\"


def java_pattern(regex: str) -> str:
    """A pattern by which Java finds in a text what `re.search` finds by this one.

    Raises:
        ValueError: if it is no pattern, or has a part that Java has no equivalent of.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a set that may be read otherwise one day
        try:
            re.compile(regex)
            regex.encode()
        except (re.error, UnicodeEncodeError, Warning) as error:
            raise ValueError(f"{regex!r} is no pattern: {error}") from error
    written, rest = [_UNIX_LINES], regex
    if rest.startswith("(?s)"):
        written.append("(?s)")
        rest = rest.removeprefix("(?s)")
    while rest:
        piece, rest = _piece(rest)
        written.append(piece)
    return "".join(written)


def _piece(rest: str) -> tuple[str, str]:
    """The first piece as Java has it, and what follows it."""
    match rest[0]:
        case "\\":
            return _escape(rest)
        case "[":
            return _set(rest)
        case "(":
            return _group(rest)
        case "{":
            return _count(rest)
        case "}":
            return r"\}", rest[1:]
        case one:
            return one, rest[1:]


def _group(rest: str) -> tuple[str, str]:
    if named := _NAMED.match(rest):
        return "(", rest[named.end() :]
    if not rest.startswith("(?"):
        return "(", rest[1:]
    for opening, written in _GROUPS.items():
        if rest.startswith(opening):
            return written, rest[len(opening) :]
    raise ValueError(
        f"{rest[:5]!r} cannot be compiled; write it without flags, names to refer to, conditions and comments"
    )


def _count(rest: str) -> tuple[str, str]:
    """A repetition; a brace that is none stands for itself in Python and would be a mistake in Java."""
    found = _COUNT.match(rest)
    if found is None or not (found[1] or (found[2] and found[3]) or found[2]):
        return r"\{", rest[1:]
    return f"{{{found[1] or '0'}{found[2]}{found[3]}}}", rest[found.end() :]


def _escape(rest: str) -> tuple[str, str]:
    letter = rest[1]
    if letter in _ALONE:
        return _ALONE[letter], rest[2:]
    if letter in "dD":
        return _CLASSES[letter], rest[2:]
    if "1" <= letter <= "9":
        return rest[:2], rest[2:]
    return _character(rest)


def _character(rest: str) -> tuple[str, str]:
    """An escape that stands for one character."""
    letter = rest[1]
    if letter in _SAME:
        return _SAME[letter], rest[2:]
    if letter in _HEX:
        end = 2 + _HEX[letter]
        return f"\\x{{{rest[2:end]}}}", rest[end:]
    if letter.isalnum():
        raise ValueError(f"'\\{letter}' cannot be compiled; write the character itself")
    return rest[:2], rest[2:]


def _set(rest: str) -> tuple[str, str]:
    """A set of characters. Whatever means more in Java than in Python is escaped."""
    at = 1
    written = ["["]
    if rest[at] == "^":
        written.append("^")
        at += 1
    first = at
    while rest[at] != "]" or at == first:
        piece, left = _member(rest[at:])
        written.append(piece)
        at = len(rest) - len(left)
    return "".join([*written, "]"]), rest[at + 1 :]


def _member(rest: str) -> tuple[str, str]:
    if rest[0] == "-":
        return "-", rest[1:]
    if rest[0] in _SPECIAL_IN_CLASS and rest[0] != "\\":
        return f"\\{rest[0]}", rest[1:]
    if rest[0] != "\\":
        return rest[0], rest[1:]
    letter = rest[1]
    if letter in _CLASSES:
        return _CLASSES[letter], rest[2:]
    if letter == "b":
        return r"\x08", rest[2:]
    if letter in "WS":
        raise ValueError(f"'\\{letter}' in a set cannot be compiled; write the set by what it has")
    return _character(rest)
