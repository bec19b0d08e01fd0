"""The warehouse's own tables, made on whichever PostgreSQL the settings name."""

from __future__ import annotations

import json
import traceback
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import text

from orchestration.settings import Settings
from orchestration.warehouse import database as warehouse
from orchestration.warehouse.errors import (
    DatabaseUnavailable,
    DatabaseUnsuitable,
    SettingsError,
)
from orchestration.warehouse.postgres import ADMINISTRATOR, EmbeddedServer
from orchestration.warehouse.roles import DASHBOARD, SENDER, driver_connection


def tables(connection: sqlalchemy.Connection) -> set[str]:
    found = connection.execute(
        text(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in ('ops', 'raw', 'outbox')"
        )
    )
    return set(found.scalars())


def test_two_processes_migrate_a_new_database_at_the_same_time(empty_database: str) -> None:
    """Prevents: a schedule and a person both start, and one dies on `table already exists`."""
    address = warehouse.parse_url(empty_database)
    engines = [warehouse.engine_for(address) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(warehouse.migrate, engines))
    assert warehouse.is_migrated(engines[0])
    with engines[0].connect() as connection:
        assert tables(connection) == {
            "ops.alembic_version",
            "ops.loads",
            "ops.builds",
            "ops.lost_rows",
            "ops.erasures",
            "ops.erased_identifiers",
            "ops.erasure_key",
            "ops.shared_identifiers",
            "raw.rejected_rows",
            "raw.phone_numbers",
            "outbox.deliveries",
            "outbox.redemption_decisions",
            "outbox.campaign_enrolments",
            "outbox.gift_codes",
            "outbox.profile_deletions",
            "outbox.switches",
        }
    for engine in engines:
        engine.dispose()


def test_the_owner_is_no_superuser_and_works_in_utc(database: sqlalchemy.Engine) -> None:
    """Prevents: row-level security that never applies, and days cut at local midnight."""
    with database.connect() as connection:
        assert connection.execute(text("show is_superuser")).scalar_one() == "off"
        assert connection.execute(text("show timezone")).scalar_one() == "UTC"


def test_a_load_that_loses_rows_cannot_be_recorded(database: sqlalchemy.Engine) -> None:
    """Prevents: rows that vanish between reading and loading without anybody noticing."""
    insert = text(
        "insert into ops.loads (tenant_id, source, file, sha256, bytes, status, rows_read, "
        "rows_loaded, rows_unchanged, rows_rejected, started_at, finished_at) "
        "values ('a', 's', 'f', 'h', 1, 'loaded', 10, 5, 3, :rejected, now(), now())"
    )
    with database.begin() as connection:
        connection.execute(insert, {"rejected": 2})
    with (
        pytest.raises(sqlalchemy.exc.IntegrityError, match="loads_account_for_every_row"),
        database.begin() as connection,
    ):
        connection.execute(insert, {"rejected": 1})


def test_the_same_file_is_loaded_once_but_may_be_refused_before(
    database: sqlalchemy.Engine,
) -> None:
    """Prevents: two loaders that run together count the same file twice."""
    insert = text(
        "insert into ops.loads (tenant_id, source, file, sha256, bytes, status, started_at, "
        "finished_at) values ('a', 's', 'f', 'h', 1, :status, now(), now())"
    )
    with database.begin() as connection:
        connection.execute(insert, [{"status": "refused"}, {"status": "loaded"}])
    with (
        pytest.raises(sqlalchemy.exc.IntegrityError, match="loads_loaded_once"),
        database.begin() as connection,
    ):
        connection.execute(insert, {"status": "loaded"})


def test_an_error_quotes_nobody(database: sqlalchemy.Engine) -> None:
    """Prevents: people who were forgotten but stand in the log of a run that failed."""
    ada = "ada@example.com"

    def insert(connection: sqlalchemy.Connection) -> None:
        connection.execute(text("insert into people values (:email)"), {"email": ada})

    def insert_many(connection: sqlalchemy.Connection) -> None:
        connection.execute(text("insert into people values (:email)"), [{"email": ada}] * 2)

    def insert_below(connection: sqlalchemy.Connection) -> None:
        driver_connection(connection).cursor().execute(f"insert into people values ('{ada}')")

    def insert_many_below(connection: sqlalchemy.Connection) -> None:
        driver_connection(connection).cursor().executemany(
            "insert into people values (%s)", [(ada,)]
        )

    def copy(connection: sqlalchemy.Connection) -> None:
        with driver_connection(connection).cursor().copy("copy people from stdin") as rows:
            rows.write_row((ada,))

    for add in (insert, insert_many, insert_below, insert_many_below, copy):
        with database.connect() as connection:
            connection.exec_driver_sql("create temporary table people (email text unique)")
            insert(connection)
            with pytest.raises((sqlalchemy.exc.IntegrityError, psycopg.IntegrityError)) as raised:
                add(connection)
            connection.rollback()
            assert driver_connection(connection).cursor().execute("select 1").fetchone() == (1,)
        logged = "".join(traceback.format_exception(raised.value))
        assert "Key (email)=… already exists" in logged
        assert ada not in logged


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "refuses the password of the role journey_owner"),
        ({"database": "nowhere"}, "has no database nowhere"),
        ({"port": 9}, "cannot be reached"),
    ],
)
def test_a_closed_door_is_explained(database_url: str, change: dict[str, str], words: str) -> None:
    """Prevents: a driver's stack trace, with the password in it, instead of a way out."""
    address = warehouse.parse_url(database_url)
    engine = warehouse.engine_for(address.set(**change))  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailable, match=words) as caught, engine.connect():
        pass
    assert "JOURNEY_DATABASE_URL" in str(caught.value) or "name another" in str(caught.value)
    assert str(address.password) not in str(caught.value)


def test_a_connection_cut_in_the_middle_is_explained(
    database: sqlalchemy.Engine, server: EmbeddedServer
) -> None:
    """Prevents: a stack trace when the server is stopped under a running load."""
    administrator = warehouse.engine_for(server.url(ADMINISTRATOR, "postgres"))
    with database.connect() as connection:
        process = connection.execute(text("select pg_backend_pid()")).scalar_one()
        with administrator.begin() as other:
            other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": process})
        with pytest.raises(DatabaseUnavailable, match="was lost"):
            connection.execute(text("select 1"))
    administrator.dispose()


def test_a_role_without_rights_is_told_what_it_lacks(
    empty_database: str, server: EmbeddedServer
) -> None:
    """Prevents: `permission denied` without a word about who must be allowed what."""
    administrator = warehouse.engine_for(server.url(ADMINISTRATOR, "postgres"))
    with administrator.begin() as connection:
        connection.execute(text("create role bystander login password 'known'"))
    engine = warehouse.engine_for(
        warehouse.parse_url(empty_database).set(username="bystander", password="known")
    )
    try:
        with pytest.raises(DatabaseUnsuitable, match="owner to bystander"):
            warehouse.migrate(engine)
    finally:
        engine.dispose()
        with administrator.begin() as connection:
            connection.execute(text("drop role bystander"))
        administrator.dispose()


def test_an_old_server_is_refused_by_version(
    database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: a build that fails half-way on a server that lacks what the models use."""
    assert warehouse.check_version(database).startswith("18.")
    monkeypatch.setattr(warehouse, "MINIMUM_VERSION", 99)
    with pytest.raises(DatabaseUnsuitable, match="needs 99 or newer"):
        warehouse.check_version(database)


def test_a_database_of_a_newer_release_is_left_alone(database: sqlalchemy.Engine) -> None:
    """Prevents: old code that works on tables whose meaning has changed."""
    with database.begin() as connection:
        connection.execute(text("update ops.alembic_version set version_num = '9999'"))
    with pytest.raises(DatabaseUnsuitable, match="newer release"):
        warehouse.migrate(database)


def test_a_role_gets_the_password_that_the_environment_gives(
    settings: Settings, database: sqlalchemy.Engine
) -> None:
    """Prevents: on an external server, a dashboard whose password was changed and that never gets
    in again; and a role without a known password that fails without a word."""
    known = warehouse.known_passwords(settings)
    changed = settings.model_copy(update={"role_passwords": {DASHBOARD: SecretStr("changed")}})
    try:
        warehouse.migrate(database, warehouse.known_passwords(changed))
        for given, login in ((changed, DASHBOARD), (settings, SENDER)):
            other = warehouse.engine(given, login)
            with other.connect() as connection:
                assert connection.execute(text("select session_user")).scalar_one() == login
            other.dispose()
    finally:
        warehouse.migrate(database, known)
    with pytest.raises(SettingsError, match="JOURNEY_ROLE_PASSWORDS"):
        warehouse.engine(changed, SENDER)


def test_a_check_that_did_not_run_has_not_failed(database: sqlalchemy.Engine) -> None:
    """Prevents a search for a hundred failures where one of them kept the others from running."""
    tests = {"pass": 2, "warn": 1, "fail": 1, "error": 1, "skipped": 100}
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into ops.builds (build_id, as_of, started_at, verdict, details) "
                "values (gen_random_uuid(), now(), now(), 'failed', cast(:told as jsonb))"
            ),
            {"told": json.dumps({"transform": {"tests": tests}})},
        )
        (counted,) = connection.exec_driver_sql("select * from ops.checks_of_builds()")
    assert counted[1:] == (2, 1, 2)
