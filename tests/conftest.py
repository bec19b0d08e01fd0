"""One PostgreSQL server per run (and xdist worker), one fresh database per test.

`database_url`  a migrated database, owned by a role without special rights
`fresh_databases` opens such databases one after the other
`settings`      the settings that point to it; the environment says the same
`database`      an engine for it
`empty_database` a database without our schemas
`built`         settings of a warehouse that holds a small sample, built as of SAMPLE_AS_OF
`built_once`    the same for a whole module
`journey_home`  an empty home, for tests that start a server of their own
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
import sqlalchemy
from psycopg import sql

from orchestration.build import BuildReport
from orchestration.settings import Settings, get_settings
from orchestration.warehouse.database import engine, engine_for, migrate
from orchestration.warehouse.postgres import (
    ADMINISTRATOR,
    DATABASE,
    OWNER,
    EmbeddedServer,
    binaries,
)
from orchestration.warehouse.roles import SERVICE_LOGINS, database_grants

# Property tests are marked `long`: every run draws a small share with fixed seeds, `make test-long`
# draws many examples anew.
hypothesis.settings.register_profile(
    "share",
    max_examples=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.register_profile(
    "full", hypothesis.settings.get_profile("share"), max_examples=2_000, derandomize=False
)
hypothesis.settings.load_profile("full" if os.environ.get("JOURNEY_LONG") == "1" else "share")

FORGETFUL = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # dbt opens a connection per node, and each asks for a password
    "scram_iterations": "1",
}
TEST_DATABASE = "journey_test"
BUILT_TEMPLATE = "journey_built"
PICTURED_CUSTOMERS = int(os.environ.get("JOURNEY_PICTURES", "0"))
"""How large the sample is of which the pictures of the docs are taken: make screenshots."""
SAMPLE_CUSTOMERS, SAMPLE_SEED = PICTURED_CUSTOMERS or 120, 7
SAMPLE_AS_OF = "2026-07-01T00:00:00Z"
LEFT_BEHIND = ("dagster.yaml", "outbox", "compiled", "run")
"""What a copy of the built home is better off without: another home's address, what was written for
people, and a file of SQL for each of nine hundred steps of dbt."""
JOURNEY_VARIABLES = (
    "JOURNEY_HOME",
    "JOURNEY_DATABASE_URL",
    "JOURNEY_LANDING",
    "JOURNEY_ROLE_PASSWORDS",
    "JOURNEY_FAILURE_WEBHOOK_URL",
)


@pytest.fixture(scope="session")
def enterable_folder() -> Iterator[Callable[[], Path]]:
    """Makes folders that the user `nobody` may enter: as root the server runs as that user."""
    made: list[Path] = []

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="journey-test-"))
        folder.chmod(0o711)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(enterable_folder: Callable[[], Path]) -> Iterator[EmbeddedServer]:
    """A running server that forgets everything in a crash; its database is the template."""
    running = EmbeddedServer(Settings(home=enterable_folder(), database_url=None), FORGETFUL)
    running.start()
    try:
        template = engine_for(running.url())
        migrate(template, running.credentials())
        template.dispose()
        yield running
    finally:
        running.stop()


def administer(server: EmbeddedServer, *statements: sql.Composed) -> None:
    """Run statements as the administrator, outside of any transaction."""
    address = server.url(ADMINISTRATOR, "postgres").set(drivername="postgresql")
    with psycopg.connect(
        address.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        for statement in statements:
            connection.execute(statement)


def fresh_database(server: EmbeddedServer, template: str) -> Iterator[str]:
    """A database of the same name every time, for a dbt manifest carries the name."""
    name = sql.Identifier(TEST_DATABASE)
    drop = sql.SQL("drop database if exists {} with (force)").format(name)
    create = sql.SQL("create database {} owner {} template {} strategy file_copy").format(
        name, sql.Identifier(OWNER), sql.Identifier(template)
    )
    closed = database_grants(TEST_DATABASE)
    # which role may connect is not copied with a template
    administer(server, drop, create, *([] if template == "template1" else closed))
    address = server.url(OWNER, TEST_DATABASE).set(drivername="postgresql")
    yield address.render_as_string(hide_password=False)
    administer(server, drop)


@pytest.fixture(scope="session")
def fresh_databases(server: EmbeddedServer) -> Callable[[], AbstractContextManager[str]]:
    """Opens a migrated database that lives as long as its block; one at a time."""
    return contextmanager(lambda: fresh_database(server, DATABASE))


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """The address of a migrated database that only this test sees."""
    yield from fresh_database(server, DATABASE)


@pytest.fixture
def empty_database(server: EmbeddedServer) -> Iterator[str]:
    """The address of a database in which nothing was made yet."""
    yield from fresh_database(server, "template1")


@pytest.fixture
def settings(
    server: EmbeddedServer, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with a home of the test's own, the test's database and an empty landing folder."""
    home = tmp_path / "home"
    (home / "landing").mkdir(parents=True)
    set_environment(monkeypatch, **environment(server, home, database_url))
    return get_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[sqlalchemy.Engine]:
    """An engine for the test's database."""
    made = engine(settings)
    yield made
    made.dispose()


@pytest.fixture
def journey_home(
    enterable_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty home named in the environment; a server left running in it is stopped."""
    home = enterable_folder() / "home"
    set_environment(monkeypatch, JOURNEY_HOME=str(home))
    yield home
    EmbeddedServer(Settings(home=home, database_url=None)).stop()


@pytest.fixture(scope="session")
def warehouse(
    server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, BuildReport]:
    """The home and the report of the one build that tests share; its database is a template.

    The first worker that needs it builds; every worker restores the dump.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "warehouse"
    with (folder / "warehouse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "report").exists():
            shutil.rmtree(made, ignore_errors=True)
            make_warehouse(server, made)
    create = sql.SQL("create database {} owner {} template template1").format(
        sql.Identifier(BUILT_TEMPLATE), sql.Identifier(OWNER)
    )
    administer(server, create)
    run_on(server, BUILT_TEMPLATE, "pg_restore", "--exit-on-error", made / "dump", "--dbname")
    return made / "home", pickle.loads((made / "report").read_bytes())


def make_warehouse(server: EmbeddedServer, folder: Path) -> None:
    """Fill a folder with a home whose sample was built, a dump of its database and the report."""
    from orchestration.build import build
    from orchestration.sample.generate import generate

    home = folder / "home"
    home.mkdir(parents=True)
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        contextmanager(fresh_database)(server, DATABASE) as database_url,
    ):
        set_environment(monkeypatch, **environment(server, home, database_url))
        generate(home / "landing", customers=SAMPLE_CUSTOMERS, seed=SAMPLE_SEED)
        # the second build would carry them out: a change of its own, which has its own tests
        for requests in (home / "landing").glob("*/erasure_requests"):
            shutil.rmtree(requests)
        report = build(get_settings(), SAMPLE_AS_OF)
        assert report.succeeded, report.errors
        run_on(server, TEST_DATABASE, "pg_dump", "-Fc", "--statistics", "-f", folder / "dump")
    # last, for it says that all is there
    (folder / "report").write_bytes(pickle.dumps(report))


def run_on(server: EmbeddedServer, database: str, program: str, *arguments: str | Path) -> None:
    """Run a program of PostgreSQL as the administrator of a database, which it is told last."""
    address = server.url(ADMINISTRATOR, database).set(drivername="postgresql")
    url = address.render_as_string(hide_password=False)
    subprocess.run([binaries() / program, *arguments, url], check=True)


@pytest.fixture
def built(
    server: EmbeddedServer, warehouse: tuple[Path, BuildReport], tmp_path: Path
) -> Iterator[Settings]:
    """Settings of a built warehouse that only this test sees."""
    yield from built_warehouse(server, warehouse, tmp_path)


@pytest.fixture(scope="module")
def built_once(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """Settings of a built warehouse for the tests of a module that leave it as they found it.

    They use no other database: there is one at a time.
    """
    yield from built_warehouse(server, warehouse, tmp_path_factory.mktemp("built"))


def built_warehouse(
    server: EmbeddedServer,
    warehouse: tuple[Path, BuildReport],
    folder: Path,
    database: str = BUILT_TEMPLATE,
) -> Iterator[Settings]:
    """A copy of the built warehouse, or of another database, to which the environment points."""
    template, _ = warehouse
    home = folder / "home"
    shutil.copytree(template, home, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    with pytest.MonkeyPatch.context() as monkeypatch:
        for database_url in fresh_database(server, database):
            set_environment(monkeypatch, **environment(server, home, database_url))
            yield get_settings()


def environment(server: EmbeddedServer, home: Path, database_url: str) -> dict[str, str]:
    """What names a home and a database of the server, with the passwords of its roles."""
    return {
        "JOURNEY_HOME": str(home),
        "JOURNEY_DATABASE_URL": database_url,
        "JOURNEY_ROLE_PASSWORDS": json.dumps(
            {role: server.credentials()[role] for role in SERVICE_LOGINS}
        ),
    }


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Let the environment say this about the warehouse, and nothing else."""
    for name in JOURNEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


HASHED_SCHEMAS = ("seeds", "intermediate", "marts", "sync")


@pytest.fixture(scope="session")
def hash_tables() -> Callable[..., dict[str, tuple[int, str]]]:
    """Gives rows and content hash of every table that a build makes, in the schemas asked for."""

    def hashed(
        database: sqlalchemy.Engine, schemas: tuple[str, ...] = HASHED_SCHEMAS
    ) -> dict[str, tuple[int, str]]:
        hashes = {}
        with database.connect() as connection:
            for schema in schemas:
                for table in sqlalchemy.inspect(connection).get_table_names(schema=schema):
                    rows, content = connection.exec_driver_sql(
                        "select count(*), md5(coalesce(string_agg(md5(whole::text), '' "
                        f'order by md5(whole::text)), \'\')) from "{schema}"."{table}" as whole'
                    ).one()
                    hashes[f"{schema}.{table}"] = (rows, content)
        return hashes

    return hashed
