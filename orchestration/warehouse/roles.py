"""The roles of the warehouse, which belong to the whole server: who they are, and making them.

What each may do inside the database stands in the migrations; `docs/security.md` tells why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from orchestration.warehouse.errors import DatabaseUnsuitable

if TYPE_CHECKING:
    import sqlalchemy

READER = "journey_reader"
"""A group: every login of a tenant is a member of it."""
SENDER = "journey_sender"
DASHBOARD = "journey_dashboard"
STAFF = "journey_staff"

SERVICE_LOGINS = (SENDER, DASHBOARD, STAFF)
"""The logins whose passwords the warehouse keeps."""
ROLES = (READER, *SERVICE_LOGINS)
TENANT_SETTING = "journey.tenant"
"""The session setting that names the dashboard's tenant; no other role's is looked at."""

_DATABASE_GRANTS = (
    "revoke all on database {database} from public",
    "grant connect on database {database} to {roles}",
)


def ensure_roles(connection: sqlalchemy.Connection) -> None:
    """Make the roles that are missing, and let nobody else into the database.

    Roles that an administrator has made are taken as they are.

    Raises:
        DatabaseUnsuitable: roles are missing and the login may not create any; the message
            has the statements for an administrator.
    """
    driver = _driver(connection)
    known = {
        name
        for (name,) in driver.execute(
            "select rolname from pg_roles where rolname = any(%s)", [list(ROLES)]
        )
    }
    missing = [role for role in ROLES if role not in known]
    if missing and not may_create_roles(driver):
        raise DatabaseUnsuitable(_explain_missing(connection.engine.url.username, missing))
    for role in missing:
        _create(driver, role)
    for statement in database_grants(str(connection.engine.url.database)):
        driver.execute(statement)


def set_passwords(database: sqlalchemy.Engine, passwords: Mapping[str, str]) -> None:
    """Give the logins of the warehouse the passwords that we know, where they have others.

    A login that the connection's role may not administer keeps what its administrator gave it.
    """
    strange = [
        role
        for role in SERVICE_LOGINS
        if role in passwords and not _lets_in(database, role, passwords[role])
    ]
    if not strange:
        return
    with database.begin() as connection:
        driver = _driver(connection)
        for role in strange:
            if _administers(driver, role):
                set_password(driver, role, passwords[role])


def set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Set a password. The server, and its log, see only what SCRAM makes of it."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )


def database_grants(database: str, roles: Iterable[str] = ROLES) -> list[sql.Composed]:
    """Statements that let only our roles connect, and nobody but the owner create anything."""
    listed = sql.SQL(", ").join(map(sql.Identifier, roles))
    return [
        sql.SQL(statement).format(database=sql.Identifier(database), roles=listed)
        for statement in _DATABASE_GRANTS
    ]


def _create(connection: psycopg.Connection[Any], role: str) -> None:
    # roles belong to the whole server: another database's warehouse may make them just now
    statement = sql.SQL("create role {} {}").format(
        sql.Identifier(role), sql.SQL("nologin" if role == READER else "login")
    )
    connection.execute(
        sql.SQL("do {}").format(
            sql.Literal(
                f"begin {statement.as_string(connection)}; "
                "exception when duplicate_object or unique_violation then null; end"
            )
        )
    )


def _explain_missing(login: str | None, missing: Iterable[str]) -> str:
    statements = "; ".join(
        f"create role {role} {'nologin' if role == READER else 'login'}" for role in missing
    )
    return (
        f"The role {login} may not create the roles that the warehouse needs. Either let it: "
        f"alter role {login} createrole. Or make them: {statements}; grant {READER} to {login} "
        "with admin option, inherit false, set false"
    )


def may_create_roles(connection: psycopg.Connection[Any]) -> bool:
    """Whether the role of the connection may make others."""
    row = connection.execute(
        "select rolcreaterole or rolsuper from pg_roles where rolname = current_user"
    ).fetchone()
    return row == (True,)


def _administers(connection: psycopg.Connection[Any], role: str) -> bool:
    row = connection.execute(
        "select pg_has_role(%s, 'member with admin option')", [role]
    ).fetchone()
    return row == (True,)


def _lets_in(database: sqlalchemy.Engine, role: str, password: str) -> bool:
    address = database.url.set(drivername="postgresql", username=role, password=password)
    try:
        psycopg.connect(address.render_as_string(hide_password=False), connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def _driver(connection: sqlalchemy.Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
