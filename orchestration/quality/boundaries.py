"""The two places where data is held against expectations: after raw, and before anything leaves."""

# ruff: noqa: S608
# Queries are put together from contracts, rules and constants: names are quoted, texts are literals

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import text

from orchestration.activation.message import OUTPUTS
from orchestration.ingest.contracts import read_contracts
from orchestration.quality.freshness import EVERY, MARTS, late_build, read_cadences, source_ages
from orchestration.quality.messages import sync_suite
from orchestration.quality.report import Failure, QualityReport
from orchestration.quality.rules import read_rules, rules_for
from orchestration.quality.suites import Expectation, Suite, literal, raw_suite
from orchestration.quality.validation import validate
from orchestration.seeds.check import read_seeds
from orchestration.seeds.declarations import read_declarations
from orchestration.seeds.files import SeedFile
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR

logger = logging.getLogger(__name__)

EXAMPLES = 3
EXAMPLE_TIMEOUT = "20s"


def check_raw(
    database: sqlalchemy.Engine, now: datetime, sources: Iterable[str] | None = None
) -> QualityReport:
    """Check what the loads brought since the last whole build that succeeded.

    Sources that brought nothing are asked nothing: an empty or missing source is no fault.

    Args:
        database: the warehouse.
        now: the present, by which a source is late.
        sources: only these; all of them by default.

    Raises:
        SeedError: the rules cannot be used.
        QualityError: a table cannot be checked.
    """
    start = time.perf_counter()
    contracts, seeds = read_contracts(DBT_PROJECT_DIR), _seeds()
    cadences = read_cadences(seeds, contracts)
    asked = sorted(contracts if sources is None else sources)
    rules = read_rules(seeds, contracts, OUTPUTS.values())
    with database.connect() as connection:
        covered = covered_load(connection)
        brought = _sources_since(connection, covered)
        overdue = [one for one in source_ages(connection, cadences, now) if one.is_late]
    suites = [
        raw_suite(contracts[source], rules_for(f"raw.{source}", rules), contracts, covered)
        for source in asked
        if source in brought
    ]
    return _report(
        "raw",
        database,
        [f"raw.{source}" for source in asked],
        suites,
        start,
        {
            source: tuple(one.explain() for one in overdue if one.source == source)
            for source in asked
            if any(one.source == source for one in overdue)
        },
    )


def check_sync(database: sqlalchemy.Engine, models: Iterable[str] | None = None) -> QualityReport:
    """Check the messages of a build before its outputs are described or sent.

    Args:
        database: the warehouse.
        models: only these sync models; all of them by default.

    Raises:
        SeedError: the rules cannot be used.
        QualityError: a table cannot be checked.
    """
    start = time.perf_counter()
    rules = read_rules(_seeds(), read_contracts(DBT_PROJECT_DIR), OUTPUTS.values())
    asked = sorted(OUTPUTS.values() if models is None else models)
    suites = [sync_suite(model, rules_for(f"sync.{model}", rules)) for model in asked]
    return _report("sync", database, [suite.table for suite in suites], suites, start, {})


def check_rules() -> None:
    """Do nothing unless the rules or cadences in the seeds cannot be used.

    Raises:
        SeedError: the message names each line.
    """
    contracts, seeds = read_contracts(DBT_PROJECT_DIR), _seeds()
    read_rules(seeds, contracts, OUTPUTS.values())
    read_cadences(seeds, contracts)


def late(database: sqlalchemy.Engine, now: datetime) -> list[str]:
    """What should have come by now, in words: a build, then sources.

    Args:
        database: a migrated warehouse.
        now: the present.

    Raises:
        SeedError: the cadences cannot be used.
    """
    cadences = read_cadences(_seeds(), read_contracts(DBT_PROJECT_DIR))
    statement = text(
        "select max(finished_at) from ops.builds "
        "where verdict = 'succeeded' and details ->> 'scope' = 'whole'"
    )
    with database.connect() as connection:
        built_at: datetime | None = connection.execute(statement).scalar_one()
        ages = source_ages(connection, cadences, now)
    build = [late_build(built_at, cadences[EVERY, MARTS], now)] if built_at else []
    return [words for words in build if words] + [one.explain() for one in ages if one.is_late]


def covered_load(connection: sqlalchemy.Connection) -> int:
    """The last load that a whole build which succeeded has seen; 0 before the first such build."""
    statement = text(
        """
        select coalesce(max((details -> 'covers' ->> 'load_id')::bigint), 0)
        from ops.builds
        where verdict = 'succeeded' and details ->> 'scope' = 'whole'
        """
    )
    return int(connection.execute(statement).scalar_one())


def _seeds() -> dict[str, SeedFile]:
    return read_seeds(SEEDS_DIR, read_declarations(SEEDS_DIR))


def _sources_since(connection: sqlalchemy.Connection, covered: int) -> set[str]:
    statement = text(
        "select distinct source from ops.loads where status = 'loaded' and load_id > :covered"
    )
    return set(connection.execute(statement, {"covered": covered}).scalars())


def _report(
    boundary: str,
    database: sqlalchemy.Engine,
    tables: Sequence[str],
    suites: Sequence[Suite],
    start: float,
    late: dict[str, tuple[str, ...]],
) -> QualityReport:
    failures: list[Failure] = []
    for suite, broken in zip(suites, validate(database.url, suites), strict=True):
        for expectation in broken:
            failures += _failures(database, suite, expectation)
        logger.info("checked %s: %s", suite.table, _verdict(broken))
    counts = {suite.table: len(suite.expectations) for suite in suites}
    return QualityReport(
        boundary,
        {table: counts.get(table, 0) for table in tables},
        tuple(sorted(failures, key=_gravest_first)),
        time.perf_counter() - start,
        late,
    )


def _gravest_first(failure: Failure) -> tuple[bool, str, str]:
    return failure.severity != "error", failure.table, failure.tenant_id


def _verdict(broken: Sequence[Expectation]) -> str:
    if not broken:
        return "as expected"
    return f"{len(broken)} expectation{'' if len(broken) == 1 else 's'} broken"


def _failures(
    database: sqlalchemy.Engine, suite: Suite, expectation: Expectation
) -> Iterator[Failure]:
    """Who breaks an expectation, by tenant, with a few of the rows."""
    query = (
        f"select tenant_id, cast({expectation.found} as double precision) as found "
        f"from ({suite.query}) as checked where {expectation.failing} "
        "group by tenant_id order by tenant_id"
    )
    with database.connect() as connection:
        connection.exec_driver_sql("set transaction read only")
        connection.exec_driver_sql(f"set local statement_timeout = '{EXAMPLE_TIMEOUT}'")
        for row in _rows(connection, query):
            tenant_id, found = row.tenant_id, row.found
            # a message without a tenant is one of those that are found
            tenant = "null" if tenant_id is None else literal(tenant_id)
            rows = expectation.rows.replace("= {tenant}", f"is not distinct from {tenant}")
            seen = _rows(connection, rows)[:EXAMPLES]
            named = ", ".join(literal(str(row[0])) for row in seen) or "null"
            yield Failure(
                table=suite.table,
                tenant_id=str(tenant_id),
                severity=expectation.severity,
                expected=expectation.words,
                found=expectation.tell(found),
                examples=tuple(_example(row) for row in seen),
                look=expectation.look.replace("{rows}", named) or rows,
                mend=expectation.mend,
            )


def _rows(connection: sqlalchemy.Connection, query: str) -> Sequence[sqlalchemy.Row[Any]]:
    return connection.exec_driver_sql(query.replace("%", "%%")).all()


def _example(row: sqlalchemy.Row[Any]) -> str:
    first, second = row._fields[:2]
    return f"{getattr(row, first)} {second} {getattr(row, second)}"
