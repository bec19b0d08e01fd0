"""The Dagster UI, its daemon and the dashboard as background programs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from orchestration import services
from orchestration.settings import Settings
from orchestration.warehouse.errors import ServiceError
from orchestration.warehouse.processes import end_group

DEFINITIONS = "import dagster\ndefs = dagster.Definitions()\n"


@pytest.fixture
def settings(
    journey_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A home, and definitions so small that the programs start at once."""
    (tmp_path / "small_definitions.py").write_text(DEFINITIONS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(services, "DEFINITIONS", "small_definitions")
    made = Settings(home=journey_home, database_url=None)
    yield made
    services.stop(made)


def pids(settings: Settings) -> dict[str, int | None]:
    return {state.name: state.pid for state in services.states(settings)}


def test_from_start_to_stop(settings: Settings) -> None:
    """Prevents: two UIs after a second `up`, and a UI that nothing stops."""
    services.start(settings)
    first = pids(settings)
    assert None not in first.values()
    urls = {state.name: state.url for state in services.states(settings)}
    assert urls["dagster-daemon"] is None
    assert str(urls["dagster-webserver"]).startswith("http://127.0.0.1:")
    assert "<title>Log in" in httpx.get(f"{urls['journey-dashboard']}/login", trust_env=False).text

    webserver, daemon = first["dagster-webserver"], first["dagster-daemon"]
    assert webserver is not None
    end_group(webserver, patience_seconds=0.0)
    services.start(settings)
    second = pids(settings)
    assert second["dagster-daemon"] == daemon
    assert second["journey-dashboard"] == first["journey-dashboard"]
    assert second["dagster-webserver"] not in (webserver, None)

    names = ["dagster-webserver", "dagster-daemon", "journey-dashboard"]
    assert services.stop(settings) == names
    assert set(pids(settings).values()) == {None}
    assert services.stop(settings) == []


def test_a_program_that_ends_at_once_is_quoted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: waiting two minutes for a UI that died in its first second."""
    broken = replace(services.WEBSERVER, arguments=("--no-such-option",))
    monkeypatch.setattr(services, "SERVICES", (broken,))
    monkeypatch.setattr(services, "WEBSERVER", broken)
    with pytest.raises(ServiceError, match="No such option"):
        services.start(settings)


def test_a_pid_file_that_names_another_program_is_not_believed(settings: Settings) -> None:
    """Prevents: `down` that ends a stranger which got the number after a restart."""
    settings.home.mkdir()
    services.DAEMON.pid_file(settings).write_text(str(os.getpid()))
    assert pids(settings)["dagster-daemon"] is None
    assert services.stop(settings) == []


def test_a_taken_port_is_left_to_its_taker(settings: Settings) -> None:
    """Prevents: a page that is not served, because another program took its port meanwhile."""
    for service in (services.WEBSERVER, services.DASHBOARD):
        assert services.settle_port(service, settings) == []
        port = service.port(settings)
        assert port is not None
        with socket.create_server(("127.0.0.1", port)):
            (note,) = services.settle_port(service, settings)
            assert f"Port {port} is taken" in note
            assert service.port(settings) != port
