"""What the README says that there is, there is."""

from __future__ import annotations

import re
from pathlib import Path

from controlplane.contract.suites import SUPPORTED

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_expectation_that_compiles_is_named_and_no_other() -> None:
    section = README.split("These can:")[1].split("\n## ")[0]
    named, prefix = set[str](), ""
    for each in re.findall(r"`(expect_\w+|_to_\w+)`", section):
        name = each if each.startswith("expect_") else prefix + each
        prefix = name.split("_to_")[0]
        named.add(name)
    assert named == set(SUPPORTED)
