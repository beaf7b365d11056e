"""What does a run keep? A folder below `<data>/loads`, with what it was to do, what it did each second, and what came of it.

The process that loads and the operation's own write files of their own, a line at a time, so that whoever is killed takes no more
than its last second along.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from controlplane.contract.frozen import Frozen
from controlplane.contract.loads import LoadAsked, LoadReport, Observed, Offered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from controlplane.contract.settings import Settings

BRIEF = "brief.json"
"""A report without its seconds: what a list of runs needs, and reads again and again."""
_Line = TypeVar("_Line", bound=Frozen)


class LoadRun(Frozen):
    """What the process that loads is told."""

    id: str
    run: int
    """In the id of each of its events."""
    asked: LoadAsked
    started_ms: float
    """When second 0 of the time axis is, epoch milliseconds: about, until the process that loads is ready and says it."""
    topics: tuple[str, ...] = ()
    """Of the hub, what its clients watch."""
    begins: dict[str, dict[int, int]] = Field(default_factory=dict)
    """Hop -> partition -> end offset before anything was sent."""


class LoadFolder:
    """One run's files."""

    def __init__(self, settings: Settings, number: str) -> None:
        self.path = loads_root(settings) / number

    @property
    def has_begun(self) -> bool:
        """Has anybody begun to load?"""
        return (self.path / "run.json").exists()

    def begin(self, run: LoadRun) -> None:
        """Keep what is to be done."""
        self.path.mkdir(parents=True, exist_ok=True)
        part = self.path / "run.part"
        part.write_text(run.model_dump_json())
        part.rename(self.path / "run.json")

    def run(self) -> LoadRun:
        """What is to be done."""
        return LoadRun.model_validate_json((self.path / "run.json").read_bytes())

    @property
    def words(self) -> Path:
        """What the process that loads says."""
        return self.path / "words.log"

    def offered(self) -> list[Offered]:
        """What was sent, each second."""
        return list(_lines(self.path / "offered.jsonl", Offered))

    def sent(self) -> int:
        """How many until now."""
        return max((each.offered for each in self.offered()), default=0)

    def observed(self) -> list[Observed]:
        """How the platform was, each second."""
        return list(_lines(self.path / "observed.jsonl", Observed))

    def add(self, line: Offered | Observed) -> None:
        """One second more."""
        name = "offered.jsonl" if isinstance(line, Offered) else "observed.jsonl"
        with (self.path / name).open("a") as file:
            file.write(line.model_dump_json(exclude_defaults=True) + "\n")

    def add_answers(self, answers: Iterable[tuple[int, int, str]]) -> None:
        """Events `[start, until)` of the run were answered so."""
        with (self.path / "answers.jsonl").open("a") as file:
            file.writelines(json.dumps(each) + "\n" for each in answers)

    def answers(self) -> Iterator[tuple[int, int, str]]:
        """All of them."""
        for line in _whole_lines(self.path / "answers.jsonl"):
            start, until, status = json.loads(line)
            yield start, until, status

    def report(self) -> LoadReport | None:
        """What came of it; None while nothing has."""
        file = self.path / "report.json"
        return LoadReport.model_validate_json(file.read_bytes()) if file.exists() else None

    def keep(self, report: LoadReport, page: str) -> None:
        """Keep what came of it, also as people read it."""
        self.page.write_text(page)
        brief = report.model_dump(mode="json", exclude={"seconds", "settings", "versions", "machine"})
        (self.path / BRIEF).write_text(
            json.dumps({**brief, "verdict": report.verdict, "recovery_s": report.recovery_s})
        )
        part = self.path / "report.part"
        part.write_text(report.model_dump_json())
        part.rename(self.path / "report.json")

    @property
    def page(self) -> Path:
        """The report as people read it."""
        return self.path / "report.html"


def loads_root(settings: Settings) -> Path:
    """Where runs are kept."""
    return settings.data.resolve() / "loads"


def _lines(file: Path, model: type[_Line]) -> Iterator[_Line]:
    return map(model.model_validate_json, _whole_lines(file))


def _whole_lines(file: Path) -> Iterator[str]:
    """A line that is being written has no end yet."""
    if file.exists():
        with file.open() as lines:
            yield from (line for line in lines if line.endswith("\n"))
