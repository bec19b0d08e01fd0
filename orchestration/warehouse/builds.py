"""One build at a time, and one row in `ops.builds` for each.

A build holds an advisory lock on a connection of its own. PostgreSQL frees the lock when the
process ends, however it ends, so a row that says `running` while the lock is free belongs to a
build that was interrupted. Whoever takes the lock next writes that down.

A build has succeeded when its work says so, and in no other way: the library that runs the work
may drop an exception on its way here.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import psycopg
import sqlalchemy
from psycopg.types.json import Jsonb

from orchestration.privacy.telling import without_values
from orchestration.warehouse.errors import DatabaseUnavailable, JourneyError

BUILD_LOCK = 4_740_003
LOCK_TIMEOUT = "2s"
PROCESS_ENDED = "the process that ran it ended before the build did"

Verdict = Literal["running", "succeeded", "failed", "interrupted"]
Scope = Literal["none", "partial", "whole"]

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})", re.ASCII
)


class BuildRunning(JourneyError):
    """Another build holds the warehouse."""


class RowsLost(JourneyError):
    """Somebody took away by hand what no build can derive again."""


class AsOfError(JourneyError):
    """The text is not an instant."""


@dataclass
class Build:
    """The record of a build.

    `scope` says how much of the transformation succeeded; `details` holds seconds per step and
    per model, failures in words, and who ran it.
    """

    build_id: uuid.UUID
    as_of: datetime
    started_at: datetime
    verdict: Verdict = "running"
    finished_at: datetime | None = None
    error: str | None = None
    scope: Scope = "none"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Coverage:
    """What a build derived: every load up to `load_id`, as it stood at `as_of`."""

    load_id: int
    as_of: datetime


@dataclass(frozen=True)
class Loss:
    """A statement, other than a build's, that took rows away from a table that builds keep."""

    loss_id: int
    relation: str
    operation: str
    """`delete` or `truncate`."""
    lost_by: str
    lost_at: datetime

    def explain(self) -> str:
        """What happened, in words."""
        return (
            f"{self.relation} lost rows by hand: {self.operation} by {self.lost_by} at "
            f"{self.lost_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )


class OpenBuild:
    """A build under way: it holds the lock, and writes its own record."""

    def __init__(self, connection: psycopg.Connection[Any], record: Build) -> None:
        self.record = record
        self.before_release = ExitStack()
        """What must have ended before the lock is freed."""
        self._connection = connection
        self._last_loss = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; when it raises, the build has failed (or was interrupted)."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            self._end("failed", f"{name}: {without_values(str(error))}")
            raise
        except BaseException:
            self._end("interrupted", f"{name}: stopped before it ended")
            raise
        finally:
            seconds = self.record.details.setdefault("seconds_per_step", {})
            seconds[name] = round(time.perf_counter() - start, 3)

    def require_memory(self, kept: Collection[str]) -> None:
        """Do nothing unless somebody took rows away from tables that remember earlier builds.

        Args:
            kept: those tables, as schema.name.

        Raises:
            RowsLost: the message names the table, and the ways out.
        """
        for loss in _losses(self._connection):
            if loss.relation in kept:
                accept = f"delete from ops.lost_rows where relation = '{loss.relation}'"  # noqa: S608
                raise RowsLost(
                    f"{loss.explain()}. It remembers earlier builds, and no build can derive that "
                    "again, so nothing is built. Put the rows back from a backup, or go on without "
                    f'them, and say so: journey psql -c "{accept}"'
                )

    def coverage_before(self, project: str, tables: Sequence[str]) -> Coverage | None:
        """What the build before this one covered, or None where this one must derive everything.

        A partial derivation stands on a whole one that succeeded: at no later instant, by the same
        project, and on tables that nobody rebuilt, dropped or took rows from since. After anything
        else all is derived anew. A load, and a build that the checks of what was loaded stopped,
        have changed no table. What this build itself covers is recorded for the next.

        Args:
            project: a fingerprint of the SQL and seeds.
            tables: what must stand, as schema.name.
        """
        row = self._connection.execute("select coalesce(max(load_id), 0) from ops.loads").fetchone()
        assert row is not None
        self.record.details["covers"] = {"load_id": row[0], "project": project}
        before = self._connection.execute(
            """
            select (details -> 'covers' ->> 'load_id')::bigint, as_of
            from (
                select as_of, verdict, details
                from ops.builds
                where
                    build_id <> %(build_id)s
                    -- one that ended before it transformed has changed no table
                    and (details ? 'covers' or verdict in ('running', 'interrupted'))
                order by started_at desc, build_id
                limit 1
            ) as build_before
            where
                verdict = 'succeeded'
                and details ->> 'scope' = 'whole'
                and details -> 'covers' ->> 'project' = %(project)s
                and as_of <= %(as_of)s
            """,
            {
                "build_id": self.record.build_id,
                "project": project,
                "as_of": self.record.as_of,
            },
        ).fetchone()
        losses = _losses(self._connection)
        if losses:
            self._last_loss = max(loss.loss_id for loss in losses)
            return None
        if before is None or before[1] != self._derived_instant() or not self._stand(tables):
            return None
        return Coverage(before[0], before[1].astimezone(UTC))

    def _stand(self, tables: Sequence[str]) -> bool:
        row = self._connection.execute(
            "select count(to_regclass(name)) from unnest(%s::text[]) as tables (name)",
            [list(tables)],
        ).fetchone()
        return row == (len(tables),)

    def _derived_instant(self) -> datetime | None:
        exists = "select to_regclass('intermediate.int_identity__derivation') is not null"
        if self._connection.execute(exists).fetchone() != (True,):
            return None
        row = self._connection.execute(
            "select as_of from intermediate.int_identity__derivation"
        ).fetchone()
        return row[0] if row else None

    def succeed(self, scope: Scope) -> None:
        """Publish that so much of the transformation succeeded: outputs may follow."""
        self.record.scope = scope
        self._end("succeeded", None)
        self.write()
        if scope == "whole":
            # what was lost before this build derived everything is there again
            self._connection.execute(
                "delete from ops.lost_rows where loss_id <= %s", [self._last_loss]
            )

    def fail(self, error: str) -> None:
        """Settle a build that is still open as failed."""
        self._end("failed", error)

    def close(self, error: BaseException | None = None) -> None:
        """Settle what is still open, and write the record.

        An end without a word is an interrupt: whoever succeeds or fails says so.
        """
        if isinstance(error, Exception):
            self._end("failed", without_values(str(error)))
        else:
            self._end("interrupted", "stopped before it ended")
        self.write()

    def write(self) -> None:
        """Write the record to `ops.builds`."""
        record = self.record
        self._connection.execute(
            """
            update ops.builds
            set verdict = %s, finished_at = %s, error = %s, details = %s
            where build_id = %s
            """,
            [
                record.verdict,
                record.finished_at,
                record.error,
                Jsonb({**record.details, "scope": record.scope}),
                record.build_id,
            ],
        )

    def _end(self, verdict: Verdict, error: str | None) -> None:
        if self.record.verdict == "running":
            self.record.verdict = verdict
            self.record.error = error
            self.record.finished_at = max(self.record.started_at, datetime.now(UTC))


def parse_as_of(text: str) -> datetime:
    """Read an instant such as 2026-07-01T00:00:00Z, in UTC.

    Raises:
        AsOfError: it is something else, or lacks the offset from UTC.
    """
    way_out = "write it with its offset from UTC, like 2026-07-01T00:00:00Z"
    if not _INSTANT.fullmatch(text.strip()):
        raise AsOfError(f"as-of '{text}' is not an instant; {way_out}")
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise AsOfError(f"as-of '{text}' is not an instant ({error}); {way_out}") from None


@contextmanager
def building(
    database: sqlalchemy.Engine,
    as_of: datetime | None = None,
    details: Mapping[str, Any] | None = None,
) -> Iterator[OpenBuild]:
    """Hold the warehouse for one build and record it.

    The build has succeeded once `OpenBuild.succeed` was called. It has failed when an exception
    came before, and was interrupted when nothing did.

    Args:
        database: the warehouse, with our own tables in place.
        as_of: the instant that the build describes; the start of the build when not given.
        details: facts to keep with the record.

    Raises:
        BuildRunning: another build holds the warehouse; the message says who and since when.
        DatabaseUnavailable: the connection that holds the lock was lost.
    """
    with locked(database) as connection:
        build = OpenBuild(connection, _begin(connection, as_of, details or {}))
        try:
            with build.before_release:
                yield build
        except BaseException as error:
            build.close(error)
            raise
        build.close()


@contextmanager
def locked(database: sqlalchemy.Engine) -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock that keeps builds apart, on a connection of its own in autocommit mode.

    Builds whose process ended without a word are marked as interrupted.

    Raises:
        BuildRunning: another build holds it.
    """
    pooled = database.raw_connection()
    connection = cast("psycopg.Connection[Any]", pooled.driver_connection)
    pooled.detach()
    with closing(connection):
        connection.autocommit = True
        connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        try:
            connection.execute("select pg_advisory_lock(%s)", [BUILD_LOCK])
        except psycopg.errors.LockNotAvailable:
            raise BuildRunning(_describe_holder(connection)) from None
        connection.execute("reset lock_timeout")
        try:
            _settle_dead_builds(connection)
            yield connection
            # the server may take a while to notice that a connection was closed
            connection.execute("select pg_advisory_unlock(%s)", [BUILD_LOCK])
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"The connection that held the warehouse for this build was lost: {error}. "
                "Nothing half-written is kept; run the build again."
            ) from error


def hold_still(connection: sqlalchemy.Connection) -> None:
    """Keep builds from beginning until the transaction ends; others may hold still as well.

    Raises:
        BuildRunning: a build holds the warehouse; the message says who and since when.
    """
    statement = sqlalchemy.text("select pg_try_advisory_xact_lock_shared(:key)")
    if not connection.execute(statement, {"key": BUILD_LOCK}).scalar_one():
        driver = connection.connection.driver_connection
        raise BuildRunning(_describe_holder(cast("psycopg.Connection[Any]", driver)))


def settled_latest_build(connection: sqlalchemy.Connection) -> Build | None:
    """The build that started last; it runs only if its process does."""
    build = latest_build(connection)
    if build is not None and build.verdict == "running" and not is_held(connection):
        # it may have ended between the two questions
        build = latest_build(connection)
        if build is not None and build.verdict == "running":
            return replace(build, verdict="interrupted", error=build.error or PROCESS_ENDED)
    return build


def latest_build(connection: sqlalchemy.Connection) -> Build | None:
    """The build that started last as it is recorded, or None before the first one."""
    statement = sqlalchemy.text(
        """
        select build_id, as_of, started_at, verdict, finished_at, error, details
        from ops.builds
        order by started_at desc, build_id
        limit 1
        """
    )
    return _read(connection, statement, {})


def latest_loss(connection: sqlalchemy.Connection) -> Loss | None:
    """The last time that somebody took rows away, unless a build has derived them again."""
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    return max(_losses(driver), key=lambda loss: loss.loss_id, default=None)


def build_of_run(connection: sqlalchemy.Connection, run_id: str) -> Build | None:
    """The build that a Dagster run made."""
    statement = sqlalchemy.text(
        """
        select build_id, as_of, started_at, verdict, finished_at, error, details
        from ops.builds
        where details ->> 'run_id' = :run_id
        order by started_at desc, build_id
        limit 1
        """
    )
    return _read(connection, statement, {"run_id": run_id})


def is_held(connection: sqlalchemy.Connection) -> bool:
    """Whether some build holds the warehouse now."""
    statement = sqlalchemy.text(
        """
        select exists (
            select 1
            from pg_locks
            where
                locktype = 'advisory'
                and granted
                and mode = 'ExclusiveLock'
                and database = (select oid from pg_database where datname = current_database())
                and classid = 0
                and objid = :key
        )
        """
    )
    return bool(connection.execute(statement, {"key": BUILD_LOCK}).scalar_one())


def _losses(connection: psycopg.Connection[Any]) -> list[Loss]:
    rows = connection.execute(
        """
        select distinct on (relation) loss_id, relation, operation, lost_by, lost_at
        from ops.lost_rows
        order by relation, loss_id desc
        """
    )
    return [Loss(*row) for row in rows]


def _settle_dead_builds(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("select to_regclass('ops.builds') is not null").fetchone()
    if row == (True,):
        connection.execute(
            """
            update ops.builds
            set
                verdict = 'interrupted',
                finished_at = greatest(started_at, %s),
                error = coalesce(error, %s)
            where verdict = 'running'
            """,
            [datetime.now(UTC), PROCESS_ENDED],
        )


def _begin(
    connection: psycopg.Connection[Any], as_of: datetime | None, details: Mapping[str, Any]
) -> Build:
    now = datetime.now(UTC)
    build = Build(
        build_id=uuid.uuid4(),
        as_of=as_of or now,
        started_at=_after_every_build(connection, now),
        details={
            "run_by": f"{_user()}@{socket.gethostname()} process {os.getpid()}",
            **details,
        },
    )
    connection.execute(
        """
        insert into ops.builds (build_id, as_of, started_at, verdict, details)
        values (%s, %s, %s, 'running', %s)
        """,
        [build.build_id, build.as_of, build.started_at, Jsonb(build.details)],
    )
    return build


def _after_every_build(connection: psycopg.Connection[Any], now: datetime) -> datetime:
    """The clock's instant; where it was set back, the first one after the last build began.

    Which build is the latest decides whether messages may leave and what need not be derived, so
    the order of the records must be that of the builds.
    """
    row = connection.execute("select max(started_at) from ops.builds").fetchone()
    last = row[0] if row else None
    return now if last is None else max(now, last.astimezone(UTC) + timedelta(microseconds=1))


def _describe_holder(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        """
        select started_at, details ->> 'run_by', build_id
        from ops.builds
        where verdict = 'running'
        order by started_at desc, build_id
        limit 1
        """
    ).fetchone()
    if row is None:
        return "Another build or load holds the warehouse. Run this again when it has ended."
    started_at, run_by, build_id = row
    return (
        f"A build runs since {started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, started by "
        f"{run_by} (build {build_id}). Two builds never run at once: run this again when it has "
        "ended, or stop it."
    )


def _read(
    connection: sqlalchemy.Connection, statement: sqlalchemy.TextClause, values: Mapping[str, Any]
) -> Build | None:
    row = connection.execute(statement, values).one_or_none()
    if row is None:
        return None
    return Build(
        build_id=row.build_id,
        as_of=row.as_of.astimezone(UTC),
        started_at=row.started_at.astimezone(UTC),
        verdict=row.verdict,
        finished_at=row.finished_at.astimezone(UTC) if row.finished_at else None,
        error=row.error,
        scope=row.details.get("scope", "none"),
        details=row.details,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
