"""Prometheus' tools are taken from where they are, unpacked where they are not, and where that can't be it is said what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controlplane.setup import prometheus
from controlplane.setup.prometheus import TOOLS, UnpackError, tool, unpack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prometheus.shutil, "which", lambda _: None)
    monkeypatch.setattr(prometheus, "TEMPLATES", tmp_path / "share")


def unpacked(cache: Path) -> Path:
    folder = cache / "prometheus" / "usr" / "bin"
    folder.mkdir(parents=True)
    for name in TOOLS:
        (folder / name).touch()
    return folder


def test_a_tool_of_the_system_comes_before_one_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert tool(tmp_path, "promtool") is None
    folder = unpacked(tmp_path)
    assert tool(tmp_path, "promtool") == folder / "promtool"
    monkeypatch.setattr(prometheus.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert str(tool(tmp_path, "promtool")) == "/usr/bin/promtool"


def test_nothing_is_downloaded_when_all_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unpacked(tmp_path)
    monkeypatch.setattr(prometheus.os, "geteuid", lambda: 1000)
    told: list[str] = []
    unpack(tmp_path, told.append)
    assert told == []
    assert not (tmp_path / "share").is_symlink()


def test_root_has_a_link_where_alertmanager_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unpacked(tmp_path)
    shared = tmp_path / "prometheus" / "usr" / "share" / "prometheus"
    shared.mkdir(parents=True)
    monkeypatch.setattr(prometheus.os, "geteuid", lambda: 0)
    (tmp_path / "share").symlink_to(tmp_path / "gone")
    unpack(tmp_path, lambda _: None)
    assert (tmp_path / "share").resolve() == shared.resolve()


def test_where_there_is_no_debian_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnpackError, match=r"prometheus, promtool, prometheus-alertmanager, amtool are missing.*PATH"):
        unpack(tmp_path, lambda _: None)
