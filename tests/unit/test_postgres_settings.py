"""What the server is told about the machine, and which folders it may reach."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestration.warehouse import postgres
from orchestration.warehouse.errors import ServerError

GIGABYTE = 1024**3


@pytest.mark.parametrize("gigabytes", [1, 2, 8, 64, 512])
@pytest.mark.parametrize("cores", [1, 2, 16])
def test_the_server_leaves_room_for_everything_else(gigabytes: int, cores: int) -> None:
    """Prevents: a small machine that swaps, since the server took its memory."""
    settings = postgres.tuning(gigabytes * GIGABYTE, cores, None)
    megabytes = {
        name: int(value.removesuffix("MB")) for name, value in settings.items() if "MB" in value
    }
    fixed = megabytes["shared_buffers"] + megabytes["maintenance_work_mem"]
    assert fixed <= gigabytes * 1024 * 0.35
    assert megabytes["work_mem"] * 8 <= gigabytes * 1024 * 0.15
    assert int(settings["max_parallel_workers"]) <= max(1, cores)


def test_a_small_shared_memory_folder_is_not_relied_on() -> None:
    """Prevents: `could not resize shared memory segment` in a container with 64 MB of it."""
    tuned = postgres.tuning(8 * GIGABYTE, 4, 64 * 1024**2)
    assert tuned["dynamic_shared_memory_type"] == "mmap"
    assert "dynamic_shared_memory_type" not in postgres.tuning(8 * GIGABYTE, 4, 4 * GIGABYTE)


def test_a_closed_folder_on_the_way_is_found(tmp_path: Path) -> None:
    """Prevents: `Permission denied` from a server that runs as another user than root."""
    closed = tmp_path / "closed"
    data = closed / "data"
    data.mkdir(parents=True)
    for folder in (tmp_path, data):
        folder.chmod(0o755)
    stranger = (54_321, 54_321)

    closed.chmod(0o700)
    found = postgres.cannot_enter(data, *stranger)
    assert found is not None
    assert found in (closed, *closed.parents)

    closed.chmod(0o711)
    assert postgres.cannot_enter(data, *stranger) != closed
    assert postgres.cannot_enter(data, closed.stat().st_uid, 54_321) is None


def test_ports_that_are_taken_are_passed_over() -> None:
    """Prevents: two homes on one machine that choose the same port."""
    first = postgres.free_port("home")
    assert postgres.free_port("home") == first
    with socket.create_server(("127.0.0.1", first)):
        assert postgres.free_port("home") != first
        with pytest.raises(ServerError, match="is taken"):
            postgres.free_port("home", first, 1)
