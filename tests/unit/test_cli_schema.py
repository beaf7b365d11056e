"""`tidegate schema` says what is different and why a schema is refused, and its exit code says whether."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from controlplane import cli
from controlplane.commands import schemas as schema_commands
from controlplane.contract.streams import Compatibility
from controlplane.service.registry import FakeRegistry, RegistryAwayError
from controlplane.up.running import Running

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

FIRST: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "n", "type": "int"},
    ],
}


def with_field(name: str, **more: Any) -> dict[str, Any]:
    return {**FIRST, "fields": [*FIRST["fields"], {"name": name, "type": "int", **more}]}


SECOND = with_field("x", default=0)


def _streams(root: Path) -> Path:
    folder = root / "streams" / "orders"
    folder.mkdir(parents=True)
    (folder / "stream.yaml").write_text("{title: Orders, key: [id], event_time: {field: at}, rollups: {}}")
    (folder / "schema.avsc").write_text(json.dumps(FIRST))
    (folder / "suite.json").write_text("{}")
    return folder.parent


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRegistry:
    fake = FakeRegistry({"orders.raw-value": Compatibility.FULL})
    for name, avro in (("orders.raw-value", FIRST), ("orders.valid-value", FIRST), ("orders.raw-value", SECOND)):
        fake.register(name, avro)
    running = Running(tmp_path, 1, {"TIDEGATE_REGISTRY": "http://registry"}, [])
    monkeypatch.setattr(schema_commands, "running_in", lambda _: running)
    monkeypatch.setattr(schema_commands, "_opened", lambda _: fake)
    monkeypatch.setenv("TIDEGATE_STREAMS", str(_streams(tmp_path)))
    return fake


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "next.avsc"


def asked(*options: object) -> Result:
    return CliRunner().invoke(cli.app, ["schema", *map(str, options)])


def test_ls_has_modes_versions_and_ids(registry: FakeRegistry) -> None:
    lines = [line.split() for line in asked("ls").output.splitlines()]
    assert ["orders.raw-value", "FULL", "1", "(1),", "2", "(3)"] in lines
    assert ["orders.valid-value", "BACKWARD", "1", "(2)"] in lines
    [raw, _] = json.loads(asked("ls", "-o", "json").output)
    assert raw["versions"] == [{"version": 1, "id": 1}, {"version": 2, "id": 3}]


def test_show_is_a_schema_that_can_be_piped_on(registry: FakeRegistry) -> None:
    assert json.loads(asked("show", "orders").stdout) == SECOND
    assert json.loads(asked("show", "orders", "--version", 1).stdout) == FIRST
    shown = json.loads(asked("show", "orders", "--of", "valid", "-o", "json").stdout)
    assert (shown["subject"], shown["id"], shown["compatibility"]) == ("orders.valid-value", 2, "BACKWARD")


def test_diff_says_it_in_words_and_what_it_breaks(registry: FakeRegistry) -> None:
    assert asked("diff", "orders", 1, 2).output == "  `x` is added as int, with the default 0\n"
    assert asked("diff", "orders", 2, 1).output == "  `x` (int) is removed\n"
    assert "are the same" in asked("diff", "orders", 1, 1).output
    [found] = json.loads(asked("diff", "orders", 1, 2, "-o", "json").output)
    assert (found["field"], found["change"], found["breaks"]) == ("x", "added", [])


@pytest.mark.parametrize("command", ["check", "register"])
def test_what_is_refused_ends_with_1_and_both_reasons(registry: FakeRegistry, file: Path, command: str) -> None:
    file.write_text(json.dumps({**SECOND, "fields": SECOND["fields"][:1]}))
    result = asked(command, "orders", file)
    assert result.exit_code == 1
    assert "orders.raw-value (FULL): refused; different from version 2:" in result.output
    assert "`n` (int) is removed; it had no default  (breaks forward compatibility)" in result.output
    assert "could not read its events; keep it, or first register a version in which it has a default" in result.output
    assert "The registry says:\n  it gives no reason" in result.output
    assert len(registry.versions("orders.raw-value")) == 2


def test_what_is_taken_ends_with_0(registry: FakeRegistry, file: Path) -> None:
    file.write_text(json.dumps({**SECOND, "fields": [*SECOND["fields"], {"name": "y", "type": "int", "default": 1}]}))
    assert "would be accepted" in (checked := asked("check", "orders", file)).output
    assert (checked.exit_code, len(registry.versions("orders.raw-value"))) == (0, 2)
    done = asked("register", "orders", file, "-o", "json")
    assert (done.exit_code, json.loads(done.output)["id"]) == (0, 4)
    assert "nothing but its writing" in asked("check", "orders", file).output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("show", "nobody"), "nobody.raw-value has no versions; there are: none"),
        (("show", "orders", "--version", 9), "orders.raw-value has no version 9; there are: 1, 2"),
        (("diff", "orders", 1, 9), "orders.raw-value has no version 9; there are: 1, 2"),
    ],
    ids=["no-such-stream", "no-such-version", "no-later-version"],
)
def test_what_is_not_there_is_named(registry: FakeRegistry, options: tuple[object, ...], said: str) -> None:
    result = asked(*options)
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_stream_that_is_not_there_takes_no_schema(registry: FakeRegistry, file: Path) -> None:
    file.write_text(json.dumps(FIRST))
    result = asked("register", "ordres", file)
    assert (result.exit_code, registry.subjects()) == (2, ["orders.raw-value", "orders.valid-value"])
    assert "there are: orders" in result.stderr


def test_a_file_that_is_no_schema_is_named(registry: FakeRegistry, file: Path) -> None:
    file.write_text("{")
    result = asked("check", "orders", file)
    assert result.exit_code == 2
    assert f"{file}: this is not JSON" in result.stderr


def test_a_registry_that_is_away_ends_as_a_platform_that_is(registry: FakeRegistry) -> None:
    registry.away = RegistryAwayError("the schema registry at x does not answer: refused")
    result = asked("ls")
    assert (result.exit_code, "does not answer: refused" in result.stderr) == (10, True)


def test_what_the_registry_takes_and_no_column_holds_is_said_beforehand(registry: FakeRegistry, file: Path) -> None:
    file.write_text(
        json.dumps({**SECOND, "fields": [*SECOND["fields"], {"name": "as_of", "type": "int", "default": 0}]})
    )
    found = asked("check", "orders", file)
    assert found.exit_code == 0
    assert "Tidegate would not take in all of it:" in found.output
    assert "field 'as_of' is the name of a column that is there already" in found.output
    judged = json.loads(asked("check", "orders", file, "-o", "json").output)
    assert (len(judged["adoption"]["left_out"]), judged["adoption"]["is_read"]) == (1, True)
    file.write_text(json.dumps(with_field("y", default=0)))
    assert "Tidegate" not in asked("check", "orders", file).output
