"""What dbt is spared, and that nothing else is missing."""

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.adapters.events.types import ConnectionUsed
from dbt.adapters.postgres.connections import PostgresConnectionManager, PostgresCredentials
from dbt.events.types import LogModelResult
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.functions import fire_event
from dbt_common.exceptions import DbtDatabaseError

from orchestration.dbt_overhead import connections_kept, heard_events_only
from orchestration.settings import Settings


def test_dbt_makes_only_the_events_that_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a release of dbt that makes thousands of events for nobody again, or in which those
    that we record are no longer made; and a dbt that stays silent after the run."""
    heard: list[str] = []
    manager = EventManager()
    manager.add_callback(lambda event: heard.append(event.info.name))
    monkeypatch.setattr("dbt_common.events.event_manager_client._EVENT_MANAGER", manager)

    def say_all() -> list[str]:
        heard.clear()
        fire_event(ConnectionUsed(conn_type="postgres", conn_name="model.one"))
        fire_event(LogModelResult(description="one", status="ok"), level=EventLevel.INFO)
        return list(heard)

    with heard_events_only():
        assert say_all() == ["LogModelResult"]
        assert vars(ConnectionUsed(conn_type="postgres", conn_name="model.one")) == {}
    assert say_all() == ["ConnectionUsed", "LogModelResult"]


@pytest.fixture
def manager(built: Settings) -> PostgresConnectionManager:
    """What gives the threads of dbt their connections."""
    known = built.dbt_environment()
    credentials = PostgresCredentials(
        host=known["JOURNEY_PG_HOST"],
        port=int(known["JOURNEY_PG_PORT"]),
        user=known["JOURNEY_PG_USER"],
        password=known["JOURNEY_PG_PASSWORD"],
        database=known["JOURNEY_PG_DBNAME"],
        schema="staging",
    )
    profile: Any = SimpleNamespace(credentials=credentials)
    return PostgresConnectionManager(profile, multiprocessing.get_context("spawn"))


def answer(manager: PostgresConnectionManager, node: str, statement: str) -> Any:
    """What the database says to the statement of a model or test, which leaves it unfinished."""
    manager.set_connection_name(node)
    return manager.add_query(statement)[1].fetchone()[0]


def test_a_thread_keeps_its_connection_and_nothing_else(manager: PostgresConnectionManager) -> None:
    """Prevents: a new session for each of four hundred models and tests; and a model that finds the
    temporary table, the setting or the unfinished transaction of the one before."""
    own = "select pg_backend_pid()"
    with connections_kept():
        session = answer(manager, "one", f"create temporary table kept (id int); {own}")
        answer(manager, "one", "set local enable_nestloop = off; select 1")
        manager.release()
        assert answer(manager, "two", own) == session
        assert answer(manager, "two", "show enable_nestloop") == "on"
        assert answer(manager, "two", "select to_regclass('kept')") is None
        manager.release()
        manager.cleanup_all()
    manager.release()


def test_a_connection_that_broke_is_replaced(manager: PostgresConnectionManager) -> None:
    """Prevents: one model whose session was ended taking all later models of its thread with it."""
    own = "select pg_backend_pid()"
    with connections_kept():
        session = answer(manager, "one", own)
        with pytest.raises(DbtDatabaseError):
            answer(manager, "one", f"select pg_terminate_backend({session})")
        manager.release()
        assert answer(manager, "two", own) != session
        manager.cleanup_all()


def test_after_the_run_a_thread_gives_its_connection_back(
    manager: PostgresConnectionManager,
) -> None:
    """Prevents: dbt that is used otherwise in this process and holds its sessions for good."""
    own = "select pg_backend_pid()"
    session = answer(manager, "one", own)
    manager.release()
    assert answer(manager, "two", own) != session
    manager.cleanup_all()
