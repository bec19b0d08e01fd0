"""A copy of what no build can make again, and a warehouse made from it.

Raw rows, decisions, receipts, rights and the memory of earlier builds are kept. Everything else is
derived from them by the next build, under the same customer ids.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from orchestration.settings import Settings
from orchestration.warehouse.builds import locked
from orchestration.warehouse.database import database_url, engine, known_passwords, migrate
from orchestration.warehouse.errors import JourneyError
from orchestration.warehouse.postgres import binaries
from orchestration.warehouse.storage import make_folder, writing_to

KEPT_SCHEMAS = ("raw", "ops", "outbox", "access")
DERIVED_SCHEMAS = ("seeds", "staging", "intermediate", "marts", "sync")
KEPT_MARTS = ("customer_redirects", "customer_splits", "segment_memberships")
"""What remembers which ids the world has seen, and who was in which segment when."""
RESTORED = "made from a backup; its marts are not derived yet"


class BackupError(JourneyError):
    """A copy cannot be made, or nothing can be made from one."""


@dataclass(frozen=True)
class BackupReport:
    """Where the copy stands, and how large it is."""

    file: Path
    bytes: int


@dataclass(frozen=True)
class RestoreReport:
    """What the warehouse holds now, and the logins of tenants that this server does not know."""

    loads: int
    missing_logins: tuple[str, ...]


def backup(settings: Settings, file: Path) -> BackupReport:
    """Write the copy; builds wait, and the file appears when it is complete.

    It holds customers' data, so only its owner may read it.

    Raises:
        BackupError: the file exists already, or the copy fails; the message says why.
        BuildRunning: a build is changing the tables.
        StorageError: the folder cannot be written.
    """
    if file.exists():
        raise BackupError(f"{file} exists already. Name another file; a backup replaces nothing.")
    make_folder(file.parent)
    unfinished = file.with_name(file.name + ".unfinished")
    database = engine(settings)
    try:
        migrate(database, known_passwords(settings))
        with locked(database), writing_to(file.parent):
            unfinished.touch(mode=0o600)
            try:
                _run(
                    settings,
                    "pg_dump",
                    "--format=custom",
                    *(f"--schema={schema}" for schema in (*KEPT_SCHEMAS, *DERIVED_SCHEMAS)),
                    *(f"--exclude-table={table}" for table in _derived_tables(database)),
                    f"--file={unfinished}",
                )
                unfinished.rename(file)
            finally:
                unfinished.unlink(missing_ok=True)
    finally:
        database.dispose()
    return BackupReport(file, file.stat().st_size)


def restore(settings: Settings, file: Path) -> RestoreReport:
    """Make an empty warehouse hold what the copy holds; the next build derives the rest.

    A copy of an older release is brought to the newest form, and belongs to whoever restores it,
    under whatever name. Nothing is delivered before a build.

    Raises:
        BackupError: the warehouse is not empty, or the file is no backup.
        BuildRunning: a build is running.
    """
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    database = engine(settings)
    try:
        migrate(database, known_passwords(settings))
        with locked(database):
            _require_empty(database)
            contents = _run(settings, "pg_restore", "--list", str(file))
            rights_to_come = _rights_to_come(database)
            _drop_schemas(database)
            try:
                with tempfile.NamedTemporaryFile("w", encoding="utf-8") as wanted:
                    wanted.write(_of_any_owner(contents))
                    wanted.flush()
                    _run(
                        settings,
                        "pg_restore",
                        "--no-owner",
                        "--single-transaction",
                        f"--use-list={wanted.name}",
                        f"--dbname={_address(settings)}",
                        str(file),
                    )
                with database.begin() as connection:
                    for statement in rights_to_come:
                        connection.exec_driver_sql(statement)
            finally:
                migrate(database, known_passwords(settings))
            return _settle(database)
    finally:
        database.dispose()


def _require_empty(database: sqlalchemy.Engine) -> None:
    with database.connect() as connection:
        loads, builds = connection.exec_driver_sql(
            "select (select count(*) from ops.loads), (select count(*) from ops.builds)"
        ).one()
    if loads or builds:
        raise BackupError(
            f"The warehouse holds {loads:,} loads and {builds:,} builds. A backup is restored into "
            "an empty one: name another JOURNEY_HOME or JOURNEY_DATABASE_URL, start it with "
            "journey up --database-only, and restore there."
        )


def _derived_tables(database: sqlalchemy.Engine) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text(
                """
                select format('%I.%I', schemas.nspname, relations.relname)
                from pg_class as relations
                inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
                where
                    schemas.nspname = any(:schemas)
                    and relations.relkind in ('r', 'v')
                    and not (schemas.nspname = 'marts' and relations.relname = any(:kept))
                order by 1
                """
            ),
            {"schemas": list(DERIVED_SCHEMAS), "kept": list(KEPT_MARTS)},
        )
        return [str(row[0]) for row in rows]


def _of_any_owner(contents: str) -> str:
    """A backup's table of contents without the rights on tables to come.

    They name the owner of the warehouse that was copied, whom this server may not know.
    """
    return "".join(
        line for line in contents.splitlines(keepends=True) if " DEFAULT ACL " not in line
    )


def _rights_to_come(database: sqlalchemy.Engine) -> list[str]:
    """Statements that give others their rights on tables that our login will make in a schema.

    They go with the schema.
    """
    with database.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text(
                """
                select
                    format(
                        'alter default privileges in schema %I grant %s on tables to %I',
                        schemas.nspname,
                        string_agg(
                            rights.privilege_type, ', ' order by rights.privilege_type
                        ),
                        roles.rolname
                    )
                from pg_default_acl as defaults
                inner join pg_namespace as schemas on defaults.defaclnamespace = schemas.oid
                cross join lateral aclexplode(defaults.defaclacl) as rights
                inner join pg_roles as roles on rights.grantee = roles.oid
                inner join pg_roles as owners on defaults.defaclrole = owners.oid
                where
                    defaults.defaclobjtype = 'r'
                    and owners.rolname = current_user
                    and rights.grantee <> defaults.defaclrole
                group by schemas.nspname, roles.rolname
                order by 1
                """
            )
        )
        return [str(row[0]) for row in rows]


def _drop_schemas(database: sqlalchemy.Engine) -> None:
    with database.begin() as connection:
        for schema in (*DERIVED_SCHEMAS, *KEPT_SCHEMAS):
            connection.exec_driver_sql(f"drop schema if exists {schema} cascade")


def _settle(database: sqlalchemy.Engine) -> RestoreReport:
    """Close the gate until a build has derived the marts, and see which logins are missing."""
    with database.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                """
                insert into ops.builds (
                    build_id, as_of, started_at, finished_at, verdict, error, details
                )
                select
                    gen_random_uuid(), now(), latest.ends_at, latest.ends_at, 'interrupted', :error,
                    '{"scope": "none"}'
                from (
                    -- the clock there may have been ahead of the one here
                    select
                        greatest(
                            clock_timestamp(), max(started_at) + interval '1 microsecond'
                        ) as ends_at
                    from ops.builds
                ) as latest
                """
            ),
            {"error": RESTORED},
        )
        loads: int = connection.exec_driver_sql("select count(*) from ops.loads").scalar_one()
        rows = connection.exec_driver_sql(
            """
            select members.login
            from access.tenant_members as members
            left join pg_roles as roles on members.login = roles.rolname
            where roles.rolname is null
            order by members.login
            """
        )
        return RestoreReport(loads, tuple(str(row[0]) for row in rows))


def _address(settings: Settings) -> str:
    url = database_url(settings).set(drivername="postgresql", password=None)
    return url.render_as_string(hide_password=False)


def _run(settings: Settings, program: str, *arguments: str) -> str:
    """What one of PostgreSQL's programs says; the password stays off the command line."""
    url = database_url(settings)
    command: Sequence[str] = [str(binaries() / program), *arguments]
    if program == "pg_dump":
        command = [*command, f"--dbname={_address(settings)}"]
    result = subprocess.run(
        command,
        env=os.environ | {"PGPASSWORD": url.password or ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        words = " ".join(result.stderr.split())
        raise BackupError(f"{program} failed: {words or f'exit code {result.returncode}'}")
    return result.stdout
