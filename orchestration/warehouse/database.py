"""Connections to the warehouse, embedded or external, and the tables that we keep ourselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Dialect, ExceptionContext, make_url

from orchestration.privacy.telling import without_values
from orchestration.settings import Settings, get_settings
from orchestration.warehouse.errors import (
    DatabaseUnavailable,
    DatabaseUnsuitable,
    SettingsError,
)
from orchestration.warehouse.roles import (
    TENANT_SETTING,
    bound_readers,
    driver_connection,
    ensure_roles,
    set_passwords,
)

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
MINIMUM_VERSION = 16
CONNECT_TIMEOUT_SECONDS = 10
MIGRATION_LOCK = 4_740_001


def database_url(settings: Settings | None = None, role: str | None = None) -> URL:
    """The address of the warehouse, with the password, as psycopg 3 wants it.

    Args:
        settings: where the warehouse is; what the environment says when not given.
        role: the login to connect as; the one that builds when not given.

    Raises:
        DatabaseUnavailable: there is no embedded database yet, or it does not know the role.
        SettingsError: JOURNEY_DATABASE_URL is not the address of a PostgreSQL database, or
            nothing tells the password of the role.
    """
    settings = settings or get_settings()
    if settings.database_url is None:
        from orchestration.warehouse.postgres import OWNER, EmbeddedServer

        return EmbeddedServer(settings).url(role or OWNER)
    url = parse_url(settings.database_url.get_secret_value())
    if role is None or role == url.username:
        return url
    if role not in settings.role_passwords:
        raise SettingsError(
            f"JOURNEY_DATABASE_URL has the password of {url.username} only. Give that of {role} "
            f'as well: JOURNEY_ROLE_PASSWORDS=\'{{"{role}": "…"}}\''
        )
    return url.set(username=role, password=settings.role_passwords[role].get_secret_value())


def known_passwords(settings: Settings) -> dict[str, str]:
    """The passwords of the roles: of the embedded server, or those that the environment gives."""
    if settings.uses_embedded_database:
        from orchestration.warehouse.postgres import EmbeddedServer

        return EmbeddedServer(settings).credentials()
    return {role: secret.get_secret_value() for role, secret in settings.role_passwords.items()}


def parse_url(text: str) -> URL:
    """Read `postgresql://user:password@host:port/database`.

    Raises:
        SettingsError: the text is something else. The message never repeats the password.
    """
    form = "postgresql://user:password@host:5432/database"
    try:
        url = make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise SettingsError(f"JOURNEY_DATABASE_URL cannot be read; write it as {form}") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(
            f"JOURNEY_DATABASE_URL starts with {url.drivername}://, but the warehouse is "
            f"PostgreSQL; write it as {form}"
        )
    if not url.host or not url.database:
        raise SettingsError(f"JOURNEY_DATABASE_URL lacks a host or database; write it as {form}")
    return url.set(drivername="postgresql+psycopg")


def engine(settings: Settings | None = None, role: str | None = None) -> sqlalchemy.Engine:
    """An engine for the warehouse, with sessions in UTC. It starts no server.

    Using it raises DatabaseUnavailable, with the way out, when the server is down or refuses
    the password. The arguments and errors are those of `database_url`.
    """
    settings = settings or get_settings()
    return engine_for(database_url(settings, role), embedded=settings.uses_embedded_database)


@contextmanager
def tenant_transaction(
    dashboard: sqlalchemy.Engine, tenant_id: str
) -> Iterator[sqlalchemy.Connection]:
    """A read-only transaction that sees the rows of one tenant.

    The setting ends with the transaction, so that a connection that goes back to the pool shows
    nothing to whoever takes it next.

    Args:
        dashboard: an engine of the role journey_dashboard; the setting of any other is ignored.
        tenant_id: whose rows.
    """
    with dashboard.begin() as connection:
        connection.exec_driver_sql("set transaction read only")
        connection.execute(
            sqlalchemy.text("select set_config(:name, :tenant_id, true)"),
            {"name": TENANT_SETTING, "tenant_id": tenant_id},
        )
        yield connection


def engine_for(url: URL, *, embedded: bool = False) -> sqlalchemy.Engine:
    """An engine for an address; `embedded` only changes the advice in its errors."""
    connect_options = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "journey",
        "options": "-c timezone=UTC",
        "cursor_factory": _DiscreetCursor,
    }
    # errors stand in logs, and parameters are values of people
    made = sqlalchemy.create_engine(
        url, connect_args=connect_options, pool_pre_ping=True, hide_parameters=True
    )

    @event.listens_for(made, "do_connect")
    def connect(
        dialect: Dialect, _record: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except dialect.loaded_dbapi.OperationalError as error:
            raise DatabaseUnavailable(_explain(url, error, embedded)) from None

    @event.listens_for(made, "handle_error")
    def explain(context: ExceptionContext) -> None:
        if context.is_disconnect and not context.is_pre_ping:
            raise DatabaseUnavailable(
                f"The connection to the database at {_place(url)} was lost: "
                f"{_first_line(context.original_exception)}. Nothing half-written was kept. "
                f"{_way_out(embedded)}"
            ) from None

    return made


class _DiscreetCursor(psycopg.Cursor[Any]):
    """Its errors quote no rows: they stand in logs, and rows are of people."""

    def execute(self, *statement: Any, **options: Any) -> Self:
        with _quoting_nobody():
            return super().execute(*statement, **options)

    def executemany(self, *statement: Any, **options: Any) -> None:
        with _quoting_nobody():
            super().executemany(*statement, **options)

    @contextmanager
    def copy(self, *statement: Any, **options: Any) -> Iterator[psycopg.Copy]:
        with _quoting_nobody(), super().copy(*statement, **options) as copy:
            yield copy


@contextmanager
def _quoting_nobody() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        error.args = tuple(without_values(str(part)) for part in error.args)
        raise


def check_version(database: sqlalchemy.Engine) -> str:
    """The server's version, such as '18.4', which must be new enough.

    Raises:
        DatabaseUnsuitable: it is older than the warehouse needs.
    """
    with database.connect() as connection:
        number = int(connection.exec_driver_sql("show server_version_num").scalar_one())
    version = f"{number // 10000}.{number % 10000}"
    if number < MINIMUM_VERSION * 10000:
        raise DatabaseUnsuitable(
            f"The server at {_place(database.url)} is PostgreSQL {version}; the warehouse needs "
            f"{MINIMUM_VERSION} or newer. Unset JOURNEY_DATABASE_URL to use the embedded one."
        )
    return version


def migrate(database: sqlalchemy.Engine, passwords: Mapping[str, str] | None = None) -> None:
    """Bring roles, schemas and the tables that we keep ourselves to the newest form.

    One process migrates at a time; the others wait for it and find nothing left to do.

    Args:
        database: an engine of the role that owns the warehouse.
        passwords: of the warehouse's other logins, as far as they are known.

    Raises:
        DatabaseUnsuitable: the role may not create schemas or roles, or the database is newer
            than this code.
    """
    from alembic import command
    from alembic.util import CommandError

    try:
        with database.begin() as connection:
            connection.exec_driver_sql(f"select pg_advisory_xact_lock({MIGRATION_LOCK})")
            connection.exec_driver_sql("create schema if not exists ops")
            ensure_roles(driver_connection(connection))
            configuration = _alembic()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
            bound_readers(driver_connection(connection))
        set_passwords(database, passwords or {})
    except CommandError as error:
        raise DatabaseUnsuitable(
            f"The database at {_place(database.url)} was made by a newer release of this "
            f"project ({error}). Update the code, or point to another database."
        ) from error
    except (sqlalchemy.exc.ProgrammingError, psycopg.errors.InsufficientPrivilege) as error:
        refusal = getattr(error, "orig", error)
        if not isinstance(refusal, psycopg.errors.InsufficientPrivilege):
            raise
        raise DatabaseUnsuitable(
            f"The role {database.url.username} may not create the warehouse's schemas in "
            f"{_place(database.url)} ({_first_line(refusal)}). Let it own the database: "
            f"alter database {database.url.database} owner to {database.url.username}"
        ) from error


def is_migrated(database: sqlalchemy.Engine) -> bool:
    """Whether the database has the newest form of our own tables."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "ops"})
        return context.get_current_revision() == head


def _alembic() -> Any:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def _place(url: URL) -> str:
    return f"{url.host}:{url.port or 5432}/{url.database}"


def _way_out(embedded: bool) -> str:
    return (
        "Start it with: journey up"
        if embedded
        else "Check that the server runs and that JOURNEY_DATABASE_URL names it."
    )


def _explain(url: URL, error: Exception, embedded: bool) -> str:
    text = str(error)
    place = _place(url)
    if "password authentication failed" in text or "no password supplied" in text:
        way_out = (
            "The file credentials in JOURNEY_HOME does not fit this database; mend it with: "
            "journey down, then journey up"
            if embedded
            else "Check user and password in JOURNEY_DATABASE_URL."
        )
        return f"The server at {place} refuses the password of the role {url.username}. {way_out}"
    if f'database "{url.database}" does not exist' in text:
        way_out = "Make it with: journey up" if embedded else "Create it, or name another one."
        return f"The server at {place} has no database {url.database}. {way_out}"
    return f"The database at {place} cannot be reached: {_first_line(error)}. {_way_out(embedded)}"


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
