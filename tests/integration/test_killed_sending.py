"""Deliveries that are killed, again and again, while the destination fails in every way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from orchestration.build import BuildReport
from orchestration.warehouse.database import engine_for, parse_url
from orchestration.warehouse.postgres import EmbeddedServer
from tests.conftest import BUILT_TEMPLATE, environment, fresh_database, set_environment
from tests.destinations.people import (
    TENANT,
    add_moves,
    add_news,
    add_people,
    email_of,
    forget_everybody,
    keep,
    restore,
)
from tests.destinations.server import Destinations, Failure

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
NOW = AS_OF + timedelta(hours=1)
PAGE = 100
MOST_REQUESTS = 150
IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
FAILURES: tuple[Failure, ...] = (
    "drop_before",
    "drop_after",
    "error_before",
    "error_after",
    "garbage",
)
DELIVER = f"""
from datetime import UTC, datetime
from orchestration.activation import courier
from orchestration.activation import send as engine
from orchestration.activation.destinations import DESTINATIONS
from orchestration.activation.rates import Limits
from orchestration.settings import get_settings
courier.PAGE = {PAGE}
limits = dict.fromkeys(DESTINATIONS["klaviyo"].limits, Limits())
world = engine.World(lambda: datetime(2026, 7, 1, 1, tzinfo=UTC), lambda _: None, limits, 5.0)
print("ready", flush=True)
report = engine.send(get_settings(), "{TENANT}", ["loyalty", "segments"], world)
assert report.is_complete, report.notes
"""


@pytest.fixture
def database(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[sqlalchemy.Engine]:
    """A built warehouse without messages."""
    for address in fresh_database(server, BUILT_TEMPLATE):
        set_environment(monkeypatch, **environment(server, tmp_path / "home", address))
        made = engine_for(parse_url(address))
        with made.begin() as connection:
            keep(connection)
            restore(connection)
            forget_everybody(connection)
        yield made
        made.dispose()


def deliver_and_kill(draw: random.Random, server: Destinations) -> bool:
    """Deliver, and kill it at a drawn request or instant; whether it had ended before."""
    process = subprocess.Popen(
        [sys.executable, "-c", DELIVER], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if draw.random() < 0.7:
        fatal = server.requests + draw.randrange(1, MOST_REQUESTS)

        def kill(number: int) -> None:
            if number >= fatal:
                process.send_signal(signal.SIGKILL)

        server.before_answer = kill
        process.wait()
        server.before_answer = lambda _number: None
    else:
        try:
            process.wait(draw.uniform(0, 0.8))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    process.stdout.close()
    return process.returncode == 0


@pytest.mark.long
def test_what_is_killed_sends_everything_once(
    database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a message that is lost or arrives twice, or somebody missing on a list, because a
    delivery was killed between its intent, its request, the answer and the record of it."""
    messages, kills = (5_000, 100) if IS_LONG else (600, 4)
    draw, failing = random.Random(messages), random.Random(kills)
    wanted: set[str] = set()
    members: set[str] = set()

    def plan(_number: int, _endpoint: str) -> Failure | None:
        return failing.choice(FAILURES) if failing.random() < 0.1 else None

    def add() -> None:
        names = [f"p{len(wanted) + number:06}" for number in range(messages)]
        movers = names[: messages // 8]
        wanted.update(f"points_expiring-{name}" for name in names)
        members.update(map(email_of, movers))
        with database.begin() as connection:
            add_people(connection, *names)
            add_news(connection, "points_expiring", NOW - timedelta(hours=1), *names)
            add_moves(connection, "add_to_list", NOW - timedelta(hours=1), *movers)

    add()
    with Destinations(plan=plan) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        while kills > 0:
            if deliver_and_kill(draw, server):
                add()
            else:
                kills -= 1
        server.plan = lambda _number, _endpoint: None
        subprocess.run([sys.executable, "-c", DELIVER], check=True, stdout=subprocess.DEVNULL)
        assert set(server.events) == wanted
        assert set(server.recordings.values()) == {1}
        assert server.failed_jobs == []
        assert server.members("L") == members
    with database.connect() as connection:
        rows = connection.execute(
            text(
                "select state, count(*), min(attempts), bool_and(sent_at is not null) "
                "from outbox.deliveries group by state"
            )
        ).all()
    assert [tuple(row) for row in rows] == [("accepted", len(wanted) + len(members), 1, True)]
