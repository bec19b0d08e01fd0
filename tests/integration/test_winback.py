"""Win-back campaigns: who takes part is decided once, and followed to the end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier

import pytest
import sqlalchemy

from orchestration.activation.deliver import deliver
from orchestration.activation.enrolment import Enrolled, enrol
from orchestration.activation.gate import GateClosed, require_success
from orchestration.settings import Settings
from orchestration.warehouse.builds import BuildRunning, building
from orchestration.warehouse.database import engine

PROCESSES = 8
ENROLLED = "select * from outbox.campaign_enrolments order by tenant_id, campaign_id, customer_id"
CANDIDATES = "select tenant_id, campaign_id, customer_id from intermediate.int_winback__candidates"


@pytest.fixture
def database_of_built(built: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built)
    yield made
    made.dispose()


def run(database: sqlalchemy.Engine, tenant_id: str | None = None) -> tuple[Enrolled, ...]:
    """Enrol as a sender does."""
    with database.begin() as connection:
        return enrol(connection, require_success(connection), tenant_id)


def rows(database: sqlalchemy.Engine, query: str) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def run_at_once(settings: Settings, start: Barrier) -> None:
    """Enrol when everybody is ready."""
    database = engine(settings)
    start.wait()
    run(database)
    database.dispose()


def test_senders_that_run_at_once_enrol_everybody_once(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a sender that fails on the other's rows, and people who are enrolled in halves."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(PROCESSES)
    senders = [context.Process(target=run_at_once, args=(built, start)) for _ in range(PROCESSES)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert {sender.exitcode for sender in senders} == {0}
    candidates = rows(database_of_built, CANDIDATES)
    assert len(candidates) > 2
    assert {row[:3] for row in rows(database_of_built, ENROLLED)} == set(candidates)
    assert run(database_of_built) == ()


def test_whoever_was_enrolled_under_an_old_id_is_enrolled(
    database_of_built: sqlalchemy.Engine,
) -> None:
    """Prevents a second message to somebody whose records were merged since the first."""
    tenant_id, campaign_id, customer_id = rows(database_of_built, CANDIDATES)[0]
    values = {"tenant": tenant_id, "campaign": campaign_id, "customer": customer_id}
    with database_of_built.begin() as connection:
        connection.exec_driver_sql(
            "insert into marts.customer_redirects "
            "values (%(tenant)s, 'old', %(customer)s, now(), 'merged')",
            values,
        )
        connection.exec_driver_sql(
            "insert into outbox.campaign_enrolments values (%(tenant)s, %(campaign)s, 'old', "
            "'message to the old', now(), false, gen_random_uuid(), now())",
            values,
        )
    run(database_of_built)
    enrolled = {row[:3] for row in rows(database_of_built, ENROLLED)}
    assert (tenant_id, campaign_id, customer_id) not in enrolled
    assert len(enrolled) == len(rows(database_of_built, CANDIDATES))


def test_only_a_live_run_enrols_and_only_its_tenant(
    built: Settings, database_of_built: sqlalchemy.Engine
) -> None:
    """Prevents a look at the messages from using up a campaign's people."""
    deliver(built)
    assert rows(database_of_built, ENROLLED) == []
    tenants = {tenant_id for tenant_id, *_ in rows(database_of_built, CANDIDATES)}
    assert len(tenants) > 1
    chosen = min(tenants)
    counts = run(database_of_built, chosen)
    enrolled = rows(database_of_built, ENROLLED)
    assert {row[0] for row in enrolled} == {chosen}
    assert sum(one.recipients + one.held_out for one in counts) == len(enrolled)


def test_nobody_is_enrolled_on_marts_that_change(database_of_built: sqlalchemy.Engine) -> None:
    """Prevents enrolments of which some stand on one build and some on the next."""
    with database_of_built.connect() as connection:
        vouched = require_success(connection)
    with building(database_of_built) as opened:
        with database_of_built.begin() as connection, pytest.raises(BuildRunning):
            enrol(connection, vouched)
        opened.succeed("whole")
    with (
        database_of_built.begin() as connection,
        pytest.raises(GateClosed, match="has replaced the marts"),
    ):
        enrol(connection, vouched)
    assert rows(database_of_built, ENROLLED) == []
