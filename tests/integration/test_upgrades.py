"""Warehouses that earlier releases made, brought to the newest form."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from dbt.cli.main import dbtRunner

from orchestration.ingest.load import load_landing
from orchestration.sample.generate import generate
from orchestration.settings import DBT_PROJECT_DIR, Settings, get_settings
from orchestration.transform import dbt_environment, transform
from orchestration.warehouse import database as warehouse
from orchestration.warehouse.builds import building, parse_as_of
from orchestration.warehouse.postgres import EmbeddedServer
from orchestration.warehouse.roles import driver_connection, ensure_roles
from tests.conftest import SAMPLE_AS_OF, environment, fresh_database, set_environment

SCRIPTS = ScriptDirectory(str(warehouse.MIGRATIONS_DIR))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
HEAD = REVISIONS[-1]
CUSTOMERS, SEED = 20, 3
AT = "2026-06-01T00:00:00Z"
BUILD = "00000000-0000-0000-0000-000000000001"
ERASURE = "00000000-0000-0000-0000-000000000002"
ROWS = {
    "0001": {
        "ops.loads": (
            "(tenant_id, source, file, sha256, bytes, status, rows_read, rows_loaded, "
            "rows_rejected, started_at, finished_at)",
            f"('aurora', 'leads', 'aurora/leads/old.csv', 'old', 1, 'loaded', 2, 1, 1, '{AT}', "
            f"'{AT}')",
        ),
        "ops.builds": (
            "(build_id, as_of, started_at, finished_at, verdict, details)",
            f"('{BUILD}', '{AT}', '{AT}', '{AT}', 'succeeded', '{{\"scope\": \"whole\"}}')",
        ),
        "raw.rejected_rows": (
            "(load_id, tenant_id, source, file, line, content, reasons, rejected_at)",
            f"(1, 'aurora', 'leads', 'aurora/leads/old.csv', 3, 'x', '{{no}}', '{AT}')",
        ),
        "raw.phone_numbers": (
            "(tenant_id, phone, region, e164)",
            "('aurora', '030 901820', 'DE', '+4930901820')",
        ),
        "outbox.deliveries": (
            "(message_id, tenant_id, customer_id, destination, operation, purpose, payload, state, "
            "build_id, created_at, updated_at)",
            "('shown', 'aurora', 'somebody', 'klaviyo', 'create_event', 'points_earned', '{}', "
            f"'dry_run', '{BUILD}', '{AT}', '{AT}')",
        ),
    },
    "0002": {
        "outbox.redemption_decisions": (
            "(tenant_id, request_id, reward_id, decision, reason, decided_at, build_id, "
            "created_at)",
            f"('aurora', 'old', 'gone', 'refused', 'unknown_reward', '{AT}', '{BUILD}', '{AT}')",
        ),
    },
    "0003": {
        "outbox.campaign_enrolments": (
            "(tenant_id, campaign_id, customer_id, message_id, enrolled_at, is_held_out, build_id, "
            "created_at)",
            f"('aurora', 'gone', 'somebody', 'm', '{AT}', true, '{BUILD}', '{AT}')",
        ),
    },
    "0005": {
        "access.tenant_members": ("(login, tenant_id, added_at)", f"('bi', 'aurora', '{AT}')"),
    },
    "0006": {
        "outbox.gift_codes": (
            "(tenant_id, gift_id, code, created_at)",
            f"('aurora', 'old', 'GIFT-AAAA-BBBB', '{AT}')",
        ),
    },
    "0008": {
        "ops.erasures": (
            "(erasure_id, tenant_id, request_id, requested_at, decided_at, outcome, pseudonym)",
            f"('{ERASURE}', 'aurora', 'old', '{AT}', '{AT}', 'erased', 'p')",
        ),
        "ops.erased_identifiers": (
            "(tenant_id, identifier_hash, erasure_id, before)",
            f"('aurora', 'h', '{ERASURE}', '{AT}')",
        ),
        "ops.shared_identifiers": (
            "(tenant_id, identifier_key, cap, strong_count)",
            "('aurora', 'k', 5, 6)",
        ),
        "outbox.profile_deletions": (
            "(message_id, tenant_id, destination, payload, requested_at)",
            f"('d', 'aurora', 'klaviyo', '{{}}', '{AT}')",
        ),
    },
    "0009": {
        "outbox.switches": (
            "(tenant_id, destination, reason, stopped_at)",
            f"('kente', 'klaviyo', 'test', '{AT}')",
        ),
    },
    "0011": {
        "ops.lost_rows": (
            "(relation, operation, lost_by, lost_at)",
            f"('marts.of_then', 'delete', 'somebody', '{AT}')",
        ),
    },
}
"""What a warehouse may hold from the revision on that made the table: columns and values."""
MART = "create table marts.of_then (tenant_id text not null, customer_id text, email text)"
CATALOG = {
    "columns": """
        select
            relations.oid::regclass, relations.relkind, relations.relrowsecurity,
            columns.attname, format_type(columns.atttypid, columns.atttypmod), columns.attnotnull,
            columns.attidentity, columns.attstattarget, columns.attacl,
            pg_get_expr(defaults.adbin, defaults.adrelid)
        from pg_class as relations
        inner join pg_attribute as columns on relations.oid = columns.attrelid
        left join pg_attrdef as defaults
            on columns.attrelid = defaults.adrelid and columns.attnum = defaults.adnum
        where relations.relkind = 'r' and columns.attnum > 0 and not columns.attisdropped
    """,
    "constraints": """
        select relations.oid::regclass, constraints.conname, pg_get_constraintdef(constraints.oid)
        from pg_class as relations
        inner join pg_constraint as constraints on relations.oid = constraints.conrelid
    """,
    "indexes": """
        select relations.oid::regclass, pg_get_indexdef(indexes.indexrelid)
        from pg_class as relations
        inner join pg_index as indexes on relations.oid = indexes.indrelid
    """,
    "policies": """
        select relations.oid::regclass, policies
        from pg_class as relations
        cross join lateral unnest(access.policies_of(relations.oid)) as policies
    """,
    "rights": """
        select
            relations.oid::regclass, rights.grantee::regrole, rights.privilege_type,
            rights.is_grantable
        from pg_class as relations
        cross join lateral aclexplode(relations.relacl) as rights
    """,
    "comments": """
        select relations.oid::regclass, comments.objsubid, comments.description
        from pg_class as relations
        inner join pg_description as comments on relations.oid = comments.objoid
    """,
    "functions": """
        select relations.oid::regprocedure, pg_get_functiondef(relations.oid), relations.proacl
        from pg_proc as relations
    """,
    "schemas": "select relations.nspname, relations.nspacl from pg_namespace as relations",
    "rights to come": """
        select relations.defaclnamespace::regnamespace, relations.defaclobjtype, relations.defaclacl
        from pg_default_acl as relations
    """,
}
"""What tells two databases apart, by kind: our schemas only."""
OURS = "('raw', 'seeds', 'staging', 'intermediate', 'marts', 'sync', 'outbox', 'ops', 'access')"
SCHEMA_OF = {
    "functions": "relations.pronamespace",
    "schemas": "relations.oid",
    "rights to come": "relations.defaclnamespace",
}


def bring_to(database: sqlalchemy.Engine, revision: str) -> None:
    """Make the warehouse's own tables as the release with this revision had them."""
    with database.begin() as connection:
        connection.exec_driver_sql("create schema if not exists ops")
        ensure_roles(driver_connection(connection))
        configuration = warehouse._alembic()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)


def fill(database: sqlalchemy.Engine, revision: str) -> None:
    """Put a row into each table of that revision, and a mart that dbt had made beside them."""
    with database.begin() as connection:
        connection.exec_driver_sql(MART)
        connection.exec_driver_sql(
            "insert into marts.of_then values ('aurora', 'c', 'a@b.example')"
        )
        for table, (columns, values) in rows_until(revision).items():
            connection.exec_driver_sql(f"insert into {table} {columns} values {values}")


def rows_until(revision: str) -> dict[str, tuple[str, str]]:
    """The tables that stand at a revision, and the row that each gets."""
    known = REVISIONS[: REVISIONS.index(revision) + 1]
    return {table: row for made in known for table, row in ROWS.get(made, {}).items()}


def catalog(database: sqlalchemy.Engine) -> dict[str, list[str]]:
    """Everything that the schemas of the warehouse hold besides rows, as text."""
    found = {}
    with database.connect() as connection:
        for kind, query in CATALOG.items():
            schema = SCHEMA_OF.get(kind, "relations.relnamespace")
            condition = f"{schema} in (select oid from pg_namespace where nspname in {OURS})"
            joined = "and" if " where " in query else "where"
            rows = connection.exec_driver_sql(f"{query} {joined} {condition}")
            found[kind] = sorted(str(tuple(row)) for row in rows)
    return found


def contents(database: sqlalchemy.Engine, revision: str) -> dict[str, list[tuple[object, ...]]]:
    """What the tables of that revision hold, in the columns that it knew."""
    with database.connect() as connection:
        return {
            table: [
                tuple(row)
                for row in connection.exec_driver_sql(
                    f"select {columns.strip('()')} from {table} order by 1, 2"
                )
            ]
            for table, (columns, _) in rows_until(revision).items()
        }


@pytest.fixture(scope="module")
def made_at_once(server: EmbeddedServer) -> dict[str, list[str]]:
    """The catalog of a warehouse that this release made."""
    (found,) = [
        catalog_with_a_mart(warehouse.engine_for(warehouse.parse_url(address)))
        for address in fresh_database(server, "template1")
    ]
    return found


def catalog_with_a_mart(database: sqlalchemy.Engine) -> dict[str, list[str]]:
    warehouse.migrate(database)
    with database.begin() as connection:
        connection.exec_driver_sql(MART)
        connection.exec_driver_sql("select access.protect('marts.of_then')")
    found = catalog(database)
    database.dispose()
    return found


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgraded_warehouse_is_like_a_new_one(
    made_at_once: dict[str, list[str]], empty_database: str, revision: str
) -> None:
    """Prevents: an upgrade that fails on rows, loses them, or leaves a table without the columns,
    checks, indexes, rights or policies that it has where the release began anew."""
    database = warehouse.engine_for(warehouse.parse_url(empty_database))
    bring_to(database, revision)
    fill(database, revision)
    before = contents(database, revision)
    warehouse.migrate(database)
    assert warehouse.is_migrated(database)
    assert contents(database, revision) == before
    with database.begin() as connection:
        # before the policies there were, the migration protected it; later, each build does
        if revision >= "0005":
            connection.exec_driver_sql("select access.protect('marts.of_then')")
        assert connection.exec_driver_sql("select * from access.faults()").all() == []
    upgraded = catalog(database)
    database.dispose()
    for kind, things in made_at_once.items():
        assert upgraded[kind] == things, kind


def test_every_table_of_our_own_was_filled(made_at_once: dict[str, list[str]]) -> None:
    """Prevents: a new table of which nobody tries whether its rows survive the next upgrade."""
    tables = {line.split("'")[1] for line in made_at_once["columns"]}
    made_by_itself = {"ops.alembic_version", "ops.erasure_key", "access.pattern", "marts.of_then"}
    assert tables - made_by_itself == set(rows_until(HEAD))


def test_the_oldest_warehouse_loads_and_builds_on(
    server: EmbeddedServer,
    empty_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents: an upgrade after which the first build stumbles over what the last release left."""
    database = warehouse.engine_for(warehouse.parse_url(empty_database))
    bring_to(database, REVISIONS[0])
    fill(database, REVISIONS[0])
    with database.begin() as connection:
        # what only stands in for a mart of then; a build knows the real ones
        connection.exec_driver_sql("drop table marts.of_then")
    home = tmp_path / "home"
    set_environment(monkeypatch, **environment(server, home, empty_database))
    generate(home / "landing", customers=CUSTOMERS, seed=SEED)
    settings = get_settings()
    warehouse.migrate(database)
    with building(database, parse_as_of(SAMPLE_AS_OF)) as opened:
        load_landing(database, settings)
        report = transform(
            settings,
            opened.record.as_of,
            select=["path:models", "resource_type:seed"],
            with_tests_of_selected=False,
        )
        report.require_success()
        opened.succeed("whole")
    with database.connect() as connection:
        loads, kept, customers = connection.exec_driver_sql(
            "select (select count(*) from ops.loads where sha256 <> 'old'), "
            "(select count(*) from ops.loads where sha256 = 'old'), "
            "(select count(*) from marts.customers)"
        ).one()
    database.dispose()
    assert loads > 0
    assert kept == 1
    assert customers >= CUSTOMERS


INDEXES = """
    select
        tables.oid::regclass::text, indexes.indisunique,
        split_part(pg_get_indexdef(indexes.indexrelid), ' USING ', 2), indexes.indexrelid::regclass
    from pg_class as tables
    inner join pg_index as indexes on tables.oid = indexes.indrelid
    where tables.relnamespace in ('marts'::regnamespace, 'sync'::regnamespace)
"""


def test_a_build_makes_the_indexes_that_an_older_release_did_not_declare(
    built: Settings, tmp_path: Path
) -> None:
    """Prevents: a warehouse that stays slow after an upgrade, until somebody makes it anew; and a
    build that makes the same index again each time, or waits for readers."""
    database = warehouse.engine(built)

    def indexes() -> list[tuple[object, ...]]:
        with database.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(INDEXES)]

    declared = indexes()
    forms = sorted(index[:3] for index in declared)
    assert any("text_pattern_ops" in str(form) for _, _, form in forms)
    assert any(is_unique for _, is_unique, _ in forms)
    with database.begin() as connection:
        for *_, name in declared:
            connection.exec_driver_sql(f"drop index {name}")
    with database.begin() as reader:
        reader.exec_driver_sql("select * from marts.customers limit 1")
        transform(built, parse_as_of(SAMPLE_AS_OF), select=["tenants"]).require_success()
        assert sorted(index[:3] for index in indexes()) == forms
    # by hand, dbt reads the macro of the end before it knows any table
    folders = ("--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR))
    written = ("--target-path", str(tmp_path), "--log-path", str(tmp_path))
    with dbt_environment(built):
        outcome = dbtRunner().invoke(["build", "--select", "tenants", *folders, *written])
    assert outcome.success, outcome.exception
    assert sorted(index[:3] for index in indexes()) == forms
    database.dispose()
