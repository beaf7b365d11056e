"""Python's regular expressions are written as Java's, piece by piece; what Java has no equivalent of is refused by name."""

from __future__ import annotations

import pytest

from controlplane.contract.patterns import java_pattern

WRITTEN = {
    r"^[A-Z]{2}$": r"^[A-Z]{2}$",
    r"(?P<a_b>x)y": r"(x)y",
    r"[]a]": r"[\]a]",
    r"[a&b[]": r"[a\&b\[]",
    r"[^^\]]": r"[^\^\]]",
    r"[a\-z-]": r"[a\-z-]",
    r"a{,3}": r"a{0,3}",
    r"a{2,}": r"a{2,}",
    r"a{x}": r"a\{x\}",
    r"\d\Z": r"\p{Nd}\z",
    r"[\d\b]": r"[\p{Nd}\x08]",
    r"\v\x41\u00e9": r"\x0B\x{41}\x{00e9}",
    r"(?s).": r"(?s).",
}


@pytest.mark.parametrize("python", WRITTEN)
def test_a_pattern_is_written_as_java_reads_it(python: str) -> None:
    assert java_pattern(python) == "(?d)" + WRITTEN[python]


@pytest.mark.parametrize(
    "python", ["(", "(?i)a", "(?P<n>a)(?P=n)", r"[\W]", r"\N{DIGIT ONE}", r"\07", "(?#a)b", "[[a]", "\ud800"]
)
def test_what_java_has_no_equivalent_of_is_refused(python: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be compiled|is no pattern"):
        java_pattern(python)
