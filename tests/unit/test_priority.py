"""Who gives way lets everything else go first, also where Linux shares cores among sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SAYS = """
import os
from pathlib import Path
from controlplane.contract.priority import give_way
give_way()
print(os.nice(0), Path("/proc/self/autogroup").read_text().split()[-1], len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not group processes by session")
@pytest.mark.parametrize(("is_leader", "group"), [(True, "19"), (False, "0")])
def test_a_session_of_its_own_gives_way_and_no_other_does(is_leader: bool, group: str) -> None:
    # The one in between has a session, so that of the tests is left alone whatever is broken.
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_SAYS!r}], start_new_session={is_leader}, check=True)"
    said = subprocess.run(
        [sys.executable, "-c", starts], start_new_session=True, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["19", group, str(-(-len(os.sched_getaffinity(0)) // 2))]
