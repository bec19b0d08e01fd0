"""Reading for one tenant: the only place where the dashboard opens a transaction.

Row-level security decides which rows a query finds; no query of the dashboard names a tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, text

from orchestration.dashboard.panels import MOST_ROWS
from orchestration.settings import Settings
from orchestration.warehouse.database import engine, tenant_transaction
from orchestration.warehouse.roles import DASHBOARD

STATEMENT_SECONDS = 10

Row = Mapping[str, Any]

_MISSING = {"42P01": "missing_mart", "3F000": "missing_mart"}


@dataclass(frozen=True)
class Unanswered:
    """A query that gave no answer: words for the reader, and the cause for the log."""

    words: str
    cause: str
    is_bad_value: bool = False
    """Whether a value is none of its type, such as a place in a list that somebody made up."""


@dataclass(frozen=True)
class LastBuild:
    """The latest build that succeeded: what the marts describe."""

    as_of: datetime
    finished_at: datetime | None


def dashboard_engine(settings: Settings) -> Engine:
    """An engine of the dashboard's own role, whose transactions each see one moment.

    Raises:
        DatabaseUnavailable, SettingsError: as `database.database_url`.
    """
    return engine(settings, DASHBOARD).execution_options(isolation_level="REPEATABLE READ")


@contextmanager
def reading_for(
    database: Engine, tenant_id: str, seconds: int = STATEMENT_SECONDS
) -> Iterator[Connection]:
    """Open a read-only transaction that sees this tenant's rows only.

    Args:
        seconds: how long each statement in it may take.
    """
    with tenant_transaction(database, tenant_id) as connection:
        connection.execute(
            text("select set_config('statement_timeout', :milliseconds, true)"),
            {"milliseconds": str(1_000 * seconds)},
        )
        yield connection


def last_build(connection: Connection) -> LastBuild | None:
    """What the marts describe; None before the first build that succeeded."""
    found = connection.execute(
        text(
            "select as_of, finished_at from ops.builds where verdict = 'succeeded' "
            "order by started_at desc, build_id limit 1"
        )
    ).first()
    return LastBuild(found.as_of, found.finished_at) if found else None


def ask(
    connection: Connection, query: str | sqlalchemy.Executable, parameters: Mapping[str, Any]
) -> tuple[list[str], list[Row]] | Unanswered:
    """The columns and at most MOST_ROWS rows of a query, or why there is no answer.

    A query that fails leaves the transaction usable. A lost connection is raised.
    """
    statement = text(query) if isinstance(query, str) else query
    try:
        with connection.begin_nested():
            result = connection.execute(statement, dict(parameters))
            return list(result.keys()), [
                dict(row) for row in result.mappings().fetchmany(MOST_ROWS)
            ]
    except sqlalchemy.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return explain(error)


def explain(error: sqlalchemy.exc.DBAPIError) -> Unanswered:
    """What to tell the reader about a query that failed, and what to write into the log."""
    state = getattr(error.orig, "sqlstate", None)
    cause = " ".join(str(error.orig).split())
    named = re.search(r'(?:relation|schema|table|view) "?([\w.]+)"?', cause)
    mart = named.group(1) if named else "a table"
    if state in _MISSING:
        return Unanswered(
            f"{mart} does not exist yet. It appears with the next whole build: journey build",
            cause,
        )
    if state == "42501":
        return Unanswered(
            f"The dashboard may not read {mart}. Its rights come back with: journey up, then "
            "journey build",
            cause,
        )
    if state == "57014":
        return Unanswered(
            "The answer took too long and was stopped. Try again when no build is running.", cause
        )
    return Unanswered(
        "This question could not be asked. The log of the dashboard names the cause.",
        cause,
        is_bad_value=(state or "").startswith("22"),
    )
