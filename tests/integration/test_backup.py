"""A backup, and the warehouse that is made from it elsewhere."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg import sql

from orchestration.activation.gate import GateClosed, require_success
from orchestration.settings import Settings
from orchestration.transform import transform
from orchestration.warehouse.backup import BackupError, backup, restore
from orchestration.warehouse.builds import parse_as_of
from orchestration.warehouse.database import engine, parse_url
from orchestration.warehouse.postgres import OWNER, EmbeddedServer
from orchestration.warehouse.roles import SENDER
from tests.conftest import SAMPLE_AS_OF, TEST_DATABASE, administer, fresh_database

HashTables = Callable[..., dict[str, tuple[int, str]]]
SCHEMAS = ("raw", "ops", "outbox", "access", "marts", "sync")
STRANGER, PASSWORD = "another_builder", "known"
NAMES_THE_OLD_OWNER = f"""
    select relations.oid::regclass::text
    from pg_class as relations
    where
        relations.oid >= 16384
        and (
            relations.relowner = '{OWNER}'::regrole
            or relations.relacl::text like '%%{OWNER}%%'
        )
    union all
    select schemas.nspname
    from pg_namespace as schemas
    where schemas.nspowner = '{OWNER}'::regrole or schemas.nspacl::text like '%%{OWNER}%%'
    union all
    select 'rights on tables to come'
    from pg_default_acl as defaults
    where defaults.defaclrole = '{OWNER}'::regrole
"""
RIGHTS_OF_THE_SENDER = f"""
    select
        has_table_privilege('{SENDER}', 'outbox.deliveries', 'select'),
        has_table_privilege('{SENDER}', 'outbox.deliveries', 'update'),
        has_table_privilege('{SENDER}', 'outbox.deliveries', 'delete'),
        has_table_privilege('{SENDER}', 'outbox.of_tomorrow', 'insert'),
        has_table_privilege('{SENDER}', 'sync.of_tomorrow', 'select'),
        has_table_privilege('{SENDER}', 'sync.of_tomorrow', 'insert')
"""


@contextmanager
def elsewhere_opened(server: EmbeddedServer, home: Path) -> Iterator[Settings]:
    """An empty database that belongs to a role of another name; it takes the place of `built`."""
    stranger, name = sql.Identifier(STRANGER), sql.Identifier(TEST_DATABASE)
    for database_url in fresh_database(server, "template1"):
        administer(
            server,
            sql.SQL("create role {} login password {}").format(stranger, sql.Literal(PASSWORD)),
            sql.SQL("alter database {} owner to {}").format(name, stranger),
        )
        address = parse_url(database_url).set(username=STRANGER, password=PASSWORD)
        yield Settings(
            home=home,
            database_url=address.render_as_string(hide_password=False),
            landing=str(home / "landing"),
        )
    administer(server, sql.SQL("drop role {}").format(stranger))


def test_marts_are_the_same_when_they_are_derived_from_a_backup(
    built: Settings, server: EmbeddedServer, hash_tables: HashTables, tmp_path: Path
) -> None:
    """Prevents: a warehouse that is lost with its server, customers who get other ids after a
    restore, messages that leave before the marts are there again, and a copy of no use where the
    administrator gave the builder another name."""
    file = tmp_path / "copies" / "warehouse.dump"
    report = backup(built, file)
    assert report.bytes == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BackupError, match="exists already"):
        backup(built, file)
    with pytest.raises(BackupError, match="restored into an empty one"):
        restore(built, file)

    original = engine(built)
    before = hash_tables(original, SCHEMAS)
    original.dispose()
    with elsewhere_opened(server, tmp_path / "elsewhere") as elsewhere:
        database = engine(elsewhere)
        assert restore(elsewhere, file).loads > 0
        with database.connect() as connection, pytest.raises(GateClosed, match="backup"):
            require_success(connection)
        # rows that are those of before were tested before
        nodes = ["resource_type:seed", "resource_type:model"]
        derived = transform(
            elsewhere, parse_as_of(SAMPLE_AS_OF), select=nodes, with_tests_of_selected=False
        )
        derived.require_success()
        after = hash_tables(database, SCHEMAS)
        with database.begin() as connection:
            assert connection.exec_driver_sql(NAMES_THE_OLD_OWNER).all() == []
            connection.exec_driver_sql("create table outbox.of_tomorrow (tenant_id text)")
            connection.exec_driver_sql("create table sync.of_tomorrow (tenant_id text)")
            rights = connection.exec_driver_sql(RIGHTS_OF_THE_SENDER).one()
        assert tuple(rights) == (True, True, False, False, True, False)
        database.dispose()
    # the restored warehouse knows that it was restored
    assert {table for table in before if before[table] != after[table]} == {"ops.builds"}


def test_a_file_that_is_no_backup_leaves_the_warehouse_as_it_was(
    settings: Settings, tmp_path: Path
) -> None:
    """Prevents: an empty warehouse without its tables after the wrong file was named."""
    file = tmp_path / "notes.txt"
    with pytest.raises(BackupError, match="There is no file"):
        restore(settings, file)
    file.write_text("nothing to see")
    with pytest.raises(BackupError, match="pg_restore failed"):
        restore(settings, file)
    database = engine(settings)
    with database.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from ops.builds").scalar_one() == 0
    database.dispose()
