"""The logins of tenants: made, used and removed as people do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy

from orchestration.cli import main
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.tenants import READER_CONNECTIONS, add_reader, remove_reader
from orchestration.warehouse.database import engine_for, migrate, parse_url
from orchestration.warehouse.errors import DatabaseUnsuitable
from orchestration.warehouse.postgres import ADMINISTRATOR, EmbeddedServer
from orchestration.warehouse.roles import READER_FILES

LOGIN = "bi_of_aurora"
SEED = SEEDS_DIR / "tenants.csv"


def journey(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture
def reader(
    settings: Settings, database: sqlalchemy.Engine, capsys: pytest.CaptureFixture[str]
) -> Iterator[dict[str, Any]]:
    """What the command says about a login that it made; the login is removed in the end."""
    code, told, _ = journey(capsys, "tenant", "add-reader", LOGIN, "--tenant", "aurora", "--json")
    assert code == 0
    yield json.loads(told)
    with database.connect() as connection:
        is_left = connection.exec_driver_sql(
            f"select 1 from pg_roles where rolname = '{LOGIN}'"
        ).all()
    if is_left:
        remove_reader(database, LOGIN)


def test_a_reader_gets_in_with_what_the_command_prints(
    reader: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a password that nobody can use, or that stands in the database to be read."""
    with psycopg.connect(reader["url"]) as connection:
        assert connection.execute("select session_user::text").fetchone() == (LOGIN,)
        for name, value in (
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "5min"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("idle_session_timeout", "1h"),
        ):
            assert connection.execute(f"show {name}").fetchone() == (value,)
    listed = json.loads(journey(capsys, "tenant", "list", "--json")[1])
    assert {one["tenant_id"]: one["readers"] for one in listed} == {
        "aurora": [LOGIN],
        "bluegum": [],
        "kente": [],
    }
    assert LOGIN in journey(capsys, "tenant", "list")[1]


def test_the_server_keeps_only_what_scram_makes_of_the_password(
    reader: dict[str, Any], server: EmbeddedServer
) -> None:
    """Prevents: a password in a log of statements, or in a backup."""
    administrator = engine_for(server.url(ADMINISTRATOR, "postgres"))
    try:
        with administrator.connect() as connection:
            kept = connection.execute(
                sqlalchemy.text("select rolpassword from pg_authid where rolname = :login"),
                {"login": LOGIN},
            ).scalar_one()
    finally:
        administrator.dispose()
    assert kept.startswith("SCRAM-SHA-256$")
    assert reader["password"] not in kept
    assert reader["password"] not in server.log.read_text()


def test_a_reader_has_so_many_connections_and_no_more(reader: dict[str, Any]) -> None:
    """Prevents: one tenant's tool that takes every connection, so that no build can start."""
    open_ones = [psycopg.connect(reader["url"]) for _ in range(READER_CONNECTIONS)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(reader["url"])
    finally:
        for connection in open_ones:
            connection.close()


FITS, FITS_NOT = 10_000, 100_000
"""Rows of which a sort in the least memory needs less than a megabyte of files, and more."""


def sort(connection: psycopg.Connection[Any], rows: int) -> None:
    """Sort so many rows, in files because they do not fit into the memory."""
    connection.execute("set work_mem = '64kB'")
    numbers = f"generate_series(1, {rows}) as numbers (number)"
    connection.execute(f"select number from {numbers} order by number desc offset {rows}")


def test_a_reader_cannot_fill_the_disk(reader: dict[str, Any], database: sqlalchemy.Engine) -> None:
    """Prevents: one report that sorts everything with everything, and a disk so full of it that
    neither builds nor other tenants can go on."""
    with psycopg.connect(reader["url"], autocommit=True) as connection:
        assert connection.execute("show temp_file_limit").fetchone() == (READER_FILES,)
        sort(connection, FITS_NOT)
        connection.execute("set default_transaction_read_only = off")
        for lift in (
            "set temp_file_limit = -1",
            "alter role current_user set temp_file_limit = -1",
            "alter role current_user reset temp_file_limit",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(lift)
        connection.execute("alter role current_user reset all")
    with psycopg.connect(reader["url"]) as connection:
        assert connection.execute("show temp_file_limit").fetchone() == (READER_FILES,)
    with database.begin() as owner:
        owner.exec_driver_sql(f"alter role {LOGIN} set temp_file_limit = '1MB'")
    # what an administrator has set stays
    migrate(database)
    with psycopg.connect(reader["url"], autocommit=True) as connection:
        sort(connection, FITS)
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="temp_file_limit"):
            sort(connection, FITS_NOT)


def test_a_reader_of_before_is_bounded_once_a_superuser_allows_it(
    database: sqlalchemy.Engine, server: EmbeddedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a server of somebody else's where no reader can be made, or where those who were
    made before stay without a bound for good."""
    administrator = engine_for(server.url(ADMINISTRATOR, "postgres"))

    def allow(words: str) -> None:
        with administrator.begin() as connection:
            connection.exec_driver_sql(words)

    allow("revoke set on parameter temp_file_limit from journey_owner")
    try:
        made = journey(capsys, "tenant", "add-reader", LOGIN, "--tenant", "aurora", "--json")
        address = json.loads(made[1])["url"]
        with psycopg.connect(address) as connection:
            assert connection.execute("show temp_file_limit").fetchone() == ("-1",)
        allow("grant set on parameter temp_file_limit to journey_owner")
        migrate(database)
        with psycopg.connect(address) as connection:
            assert connection.execute("show temp_file_limit").fetchone() == (READER_FILES,)
    finally:
        allow("grant set on parameter temp_file_limit to journey_owner")
        administrator.dispose()
        remove_reader(database, LOGIN)


def test_a_removed_reader_is_out_at_once(
    reader: dict[str, Any],
    database: sqlalchemy.Engine,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prevents: somebody who left and reads on through a connection that was open."""
    with psycopg.connect(reader["url"]) as connection:
        connection.execute("select 1")
        assert journey(capsys, "tenant", "remove-reader", LOGIN)[0] == 0
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(reader["url"])
    with database.connect() as connection:
        members = connection.exec_driver_sql("select count(*) from access.tenant_members")
        assert members.scalar_one() == 0
    code, _, errors = journey(capsys, "tenant", "remove-reader", LOGIN)
    assert code == 1
    assert "no reader of a tenant" in errors


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("login", "tenant", "words"),
    [
        (LOGIN, "aurora", "There is a role bi_of_aurora already"),
        ("bi_of_nobody", "nobody", "There is no tenant nobody"),
        ("journey_mine", "aurora", "cannot be a login"),
        ("pg_mine", "aurora", "cannot be a login"),
        ("Mine", "aurora", "cannot be a login"),
        ('x" superuser --', "aurora", "cannot be a login"),
    ],
)
def test_a_reader_that_cannot_be_is_refused_with_the_way_out(
    capsys: pytest.CaptureFixture[str], login: str, tenant: str, words: str
) -> None:
    """Prevents: a login mapped to a tenant that is misspelt, or that takes another role's place."""
    code, out, errors = journey(capsys, "tenant", "add-reader", login, "--tenant", tenant)
    assert (code, out) == (1, "")
    assert words in errors


def test_a_builder_that_may_not_make_logins_says_who_must_allow_it(
    database: sqlalchemy.Engine, server: EmbeddedServer
) -> None:
    """Prevents: `permission denied to create role` on a server that somebody else administers."""
    administrator = engine_for(server.url(ADMINISTRATOR, "postgres"))
    with administrator.begin() as connection:
        connection.exec_driver_sql("alter role journey_owner nocreaterole")
    try:
        migrate(database)
        with pytest.raises(DatabaseUnsuitable, match="alter role journey_owner createrole"):
            add_reader(database, SEED, LOGIN, "aurora")
    finally:
        with administrator.begin() as connection:
            connection.exec_driver_sql("alter role journey_owner createrole")
        administrator.dispose()


def test_missing_roles_are_told_as_statements_for_the_administrator(
    empty_database: str, server: EmbeddedServer
) -> None:
    """Prevents: a server of somebody else's where nobody knows what the warehouse lacks."""
    administrator = engine_for(server.url(ADMINISTRATOR, "postgres"))
    with administrator.begin() as connection:
        connection.exec_driver_sql("alter role journey_owner nocreaterole")
        connection.exec_driver_sql("alter role journey_staff rename to journey_away")
    database = engine_for(parse_url(empty_database))
    try:
        with pytest.raises(DatabaseUnsuitable, match="create role journey_staff login; grant"):
            migrate(database)
    finally:
        database.dispose()
        with administrator.begin() as connection:
            connection.exec_driver_sql("alter role journey_away rename to journey_staff")
            connection.exec_driver_sql("alter role journey_owner createrole")
        administrator.dispose()


@pytest.mark.parametrize("command", ["list", "add", "add-reader", "remove-reader"])
def test_every_command_on_tenants_has_help(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Prevents: a command that nobody can find out how to use."""
    code, output, _ = journey(capsys, "tenant", command, "--help")
    assert code == 0
    assert f"journey tenant {command}" in output
