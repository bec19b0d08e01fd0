"""Dagster's own processes, killed while they build, and started again."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration import services
from orchestration.build import BuildReport, build
from orchestration.defs.automation import JOB
from orchestration.defs.failures import delivery_lock
from orchestration.settings import Settings
from orchestration.warehouse.builds import Build, is_held
from orchestration.warehouse.postgres import EmbeddedServer
from tests.conftest import SAMPLE_AS_OF, built_warehouse

from .test_killed_builds import (
    NEW_FILES,
    Rows,
    connected,
    count_builds,
    latest_of,
    require_equal,
    rows_of,
)

PATIENCE_SECONDS, LOOK_EVERY_SECONDS = 600, 0.1
MOST_LIFE = 0.8
"""How much of a build is let happen at most before the kill."""
LAUNCH = """
mutation Launch($parameters: ExecutionParams!) {
    launchRun(executionParams: $parameters) {
        __typename
        ... on PythonError { message }
    }
}
"""
PARAMETERS = {
    "selector": {
        "repositoryLocationName": services.DEFINITIONS,
        "repositoryName": "__repository__",
        "jobName": JOB,
    },
    "runConfigData": {"resources": {"build": {"config": {"as_of": SAMPLE_AS_OF}}}},
}


@pytest.fixture
def opened(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], Any]:
    """Opens warehouses with new files; the background programs of one are stopped in the end."""

    @contextmanager
    def copied() -> Iterator[Settings]:
        for settings in built_warehouse(server, warehouse, tmp_path_factory.mktemp("dagster")):
            for source, text in NEW_FILES.items():
                folder = Path(settings.landing, "aurora", source)
                folder.mkdir(exist_ok=True)
                (folder / "new.csv").write_text(text)
            try:
                yield settings
            finally:
                services.stop(settings)

    return copied


@pytest.fixture
def undisturbed(opened: Callable[[], Any]) -> tuple[Rows, float]:
    """What a build of the new files ends with, and the seconds that it takes."""
    with opened() as settings:
        report = build(settings, SAMPLE_AS_OF)
        assert report.succeeded, report.errors
        return rows_of(settings), report.seconds - report.seconds_per_step["start"]


def launch(settings: Settings) -> None:
    """Ask the UI for a run, which queues it for the daemon."""
    url = services.address(services.WEBSERVER, settings)
    body = {"query": LAUNCH, "variables": {"parameters": PARAMETERS}}
    answer = httpx.post(f"{url}/graphql", json=body, timeout=60, trust_env=False).json()
    assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", answer


def ends_within(pid: int, seconds: float) -> bool:
    """Whether a process, which need be no child of ours, ends within that time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def wait_until(settings: Settings, is_so: Callable[[], bool]) -> None:
    """Look again and again while the daemon works."""
    daemon = services.DAEMON.running_pid(settings)
    assert daemon
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert not ends_within(daemon, LOOK_EVERY_SECONDS)
        assert time.monotonic() < deadline


def worker_of(record: Build) -> int:
    """The process that runs a build."""
    found = re.search(r"process (\d+)$", record.details["run_by"])
    assert found
    return int(found[1])


def victims_of(settings: Settings, what: str) -> list[int]:
    """What to kill: processes, and groups of them as negative numbers."""
    daemon = services.DAEMON.running_pid(settings)
    webserver = services.WEBSERVER.running_pid(settings)
    assert daemon
    assert webserver
    return {
        "the worker": [worker_of(latest_of(settings))],
        "the daemon": [daemon],
        "the daemon and all that it started": [-daemon],
        "everything": [-webserver, -daemon],
    }[what]


@pytest.mark.long
@pytest.mark.parametrize(
    "what", ["the worker", "the daemon", "the daemon and all that it started", "everything"]
)
def test_what_dagster_leaves_behind_is_no_obstacle(
    opened: Callable[[], Any], undisturbed: tuple[Rows, float], what: str
) -> None:
    """Prevents: a warehouse that builds no more, or holds rows twice, because a process of Dagster
    was killed: a run that stands as started for ever, a lock that nobody holds, half a build."""
    rows, seconds = undisturbed
    life = random.Random(what).uniform(0, MOST_LIFE * seconds)
    with opened() as settings:
        services.start(settings)
        builds_before = count_builds(settings)
        launch(settings)
        wait_until(settings, lambda: count_builds(settings) > builds_before)
        assert not ends_within(worker_of(latest_of(settings)), life)
        for victim in victims_of(settings, what):
            (os.kill if victim > 0 else os.killpg)(abs(victim), signal.SIGKILL)
            assert ends_within(abs(victim), PATIENCE_SECONDS)

        services.start(settings)
        launch(settings)
        wait_until(settings, lambda: count_builds(settings) > builds_before + 1)
        wait_until(settings, lambda: not is_locked(settings))
        assert latest_of(settings).verdict == "succeeded"
        assert count_builds(settings) == builds_before + 2
        # the run of a daemon that died alone goes on to its end
        first = "succeeded" if what == "the daemon" else "interrupted"
        assert verdicts(settings) == Counter(["succeeded", first, "succeeded"])
        require_equal(rows_of(settings), rows)
        with delivery_lock(settings, timeout=0):
            pass


def verdicts(settings: Settings) -> Counter[str]:
    """How many builds ended in each way, that of the template included."""
    with connected(settings) as connection:
        return Counter(connection.exec_driver_sql("select verdict from ops.builds").scalars())


def is_locked(settings: Settings) -> bool:
    """Whether a build still holds the warehouse, as until its messages are described."""
    with connected(settings) as connection:
        return is_held(connection)
