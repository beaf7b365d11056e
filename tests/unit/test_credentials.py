"""Which control plane does a command ask, and as whom? The folder's secrets are for its owner's eyes only."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlplane.commands.credentials import KEPT, control_plane
from controlplane.contract.access import LOCAL_TOKEN, SERVICE_TOKEN, USER_HEADER, service_token
from controlplane.contract.settings import Settings
from controlplane.up.secret_files import make_secrets

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.delenv("TIDEGATE_TOKEN", raising=False)
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "data"))
    return tmp_path / "home"


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], Path]:
    def run() -> Path:
        (tmp_path / "data").mkdir()
        written = {"pid": os.getpid(), "environment": {"TIDEGATE_API": "http://here"}, "parts": []}
        (tmp_path / "data" / "up.json").write_text(json.dumps(written))
        make_secrets(tmp_path / "data")
        return tmp_path / "data"

    return run


def _log_in(home: Path) -> None:
    file = home / KEPT
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"api": "https://there", "token": "tg_kept"}))


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = make_secrets(tmp_path)
    tokens = [service_token(tmp_path / name) for name in (SERVICE_TOKEN, LOCAL_TOKEN)]
    assert make_secrets(tmp_path) == first == tmp_path / SERVICE_TOKEN
    assert [service_token(tmp_path / name) for name in (SERVICE_TOKEN, LOCAL_TOKEN)] == tokens
    assert len({*tokens, ""}) == 3
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("secrets", SERVICE_TOKEN, LOCAL_TOKEN)] == [
        0o700,
        0o600,
        0o600,
    ]


def test_who_owns_the_folder_is_known_by_its_secret(home: Path, runs: Callable[[], Path]) -> None:
    data = runs()
    _log_in(home)
    api, headers = control_plane(None)
    assert api == "http://here"
    assert headers == {
        "Authorization": f"Bearer {service_token(data / LOCAL_TOKEN)}",
        USER_HEADER: getpass.getuser(),
    }


def test_a_token_of_the_environment_goes_first(
    home: Path, runs: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs()
    monkeypatch.setenv("TIDEGATE_TOKEN", "tg_given")
    assert control_plane(None) == ("http://here", {"Authorization": "Bearer tg_given"})


def test_where_none_runs_the_one_that_was_signed_in_to_is_asked(home: Path) -> None:
    _log_in(home)
    assert control_plane(None) == ("https://there", {"Authorization": "Bearer tg_kept"})


def test_a_folder_that_was_named_and_in_which_none_runs_is_an_error(home: Path, tmp_path: Path) -> None:
    _log_in(home)
    with pytest.raises(SystemExit) as ended:
        control_plane(tmp_path / "elsewhere")
    assert ended.value.code == 10


def test_without_a_platform_and_without_a_login_the_command_ends(home: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        control_plane(None)
    assert ended.value.code == 10


def test_a_setting_that_is_a_secret_is_shown_by_no_print_of_the_settings() -> None:
    secrets = {
        "token": "tg_kept",
        "oidc_client_secret": "of-the-provider",
        "database": "postgresql://tidegate:of-the-database@db/tidegate",
        "pagerduty_routing_key": "of-pagerduty",
    }
    settings = Settings.model_validate(secrets)
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    assert all(each not in shown for each in ("tg_kept", "of-the-provider", "of-the-database", "of-pagerduty"))


def test_the_secret_at_the_provider_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of-the-provider\n")
    given = [f"@{tmp_path / 'secret'}", "plain"]
    found = [Settings.model_validate({"oidc_client_secret": each}).oidc_secret for each in given]
    assert found == ["of-the-provider", "plain"]
