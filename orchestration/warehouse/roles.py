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
READER_FILES = "2GB"
"""Room on the disk for what one process of a reader sorts; only a superuser may lift it."""

_DATABASE_GRANTS = (
    "revoke all on database {database} from public",
    "grant connect on database {database} to {roles}",
    # what no build has seen is put into tables of its session
    f"grant temporary on database {{database}} to {SENDER}",
)

_CLOSE_FUNCTIONS = """
do $$
declare
    closed regprocedure;
begin
    for closed in
        select functions.oid
        from pg_catalog.pg_proc as functions
        where
            functions.pronamespace = 'pg_catalog'::regnamespace
            and functions.proname ~ '^(pg_(try_)?advisory_(xact_)?lock|lo_)'
    loop
        execute format('revoke execute on function %s from public', closed);
        execute format('grant execute on function %s to ', closed) || {keepers};
    end loop;
end
$$
"""


def ensure_roles(connection: psycopg.Connection[Any]) -> None:
    """Make the roles that are missing, and let nobody else into the database.

    Roles that an administrator has made are taken as they are.

    Args:
        connection: of the role that builds.

    Raises:
        DatabaseUnsuitable: roles are missing and the login may not create any; the message
            has the statements for an administrator.
    """
    known = {
        name
        for (name,) in connection.execute(
            "select rolname from pg_roles where rolname = any(%s)", [list(ROLES)]
        )
    }
    missing = [role for role in ROLES if role not in known]
    if missing and not may_create_roles(connection):
        raise DatabaseUnsuitable(_explain_missing(connection.info.user, missing))
    for role in missing:
        _create(connection, role)
    if _lets_in_the_wrong(connection):
        for statement in database_grants(connection.info.dbname):
            connection.execute(statement)


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
        driver = driver_connection(connection)
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
    """Statements that let only our roles connect, and nobody but the owner make what lasts."""
    listed = sql.SQL(", ").join(map(sql.Identifier, roles))
    return [
        sql.SQL(statement).format(database=sql.Identifier(database), roles=listed)
        for statement in _DATABASE_GRANTS
    ]


def close_to_readers(connection: psycopg.Connection[Any], owner: str) -> None:
    """Take from everybody the functions by which a reader could hold up a build, or keep data.

    These are locks by number, which builds hold, and large objects. Also let the role that builds
    bound the temporary files of readers. Only a superuser may do either.

    Args:
        connection: a superuser's, in the database of the warehouse.
        owner: the role that builds, which keeps them.
    """
    connection.execute(sql.SQL(_CLOSE_FUNCTIONS).format(keepers=sql.Literal(f"{owner}, {SENDER}")))
    connection.execute(
        sql.SQL("grant set on parameter temp_file_limit to {}").format(sql.Identifier(owner))
    )


def is_closed(connection: psycopg.Connection[Any]) -> bool:
    """Whether the role that builds may make roles, and `close_to_readers` was called."""
    row = connection.execute(
        "select has_function_privilege('public', 'pg_advisory_lock(bigint)', 'execute'), "
        "has_parameter_privilege('temp_file_limit', 'set')"
    ).fetchone()
    return may_create_roles(connection) and row == (False, True)


def bound_readers(connection: psycopg.Connection[Any]) -> None:
    """Bound the temporary files of every tenant's logins that are not bound yet.

    Nothing happens where a superuser has not let the role that builds do so. A bound that an
    administrator has set stays.

    Args:
        connection: of the role that builds.
    """
    unbound = connection.execute(
        """
        select members.login
        from access.tenant_members as members
        inner join pg_roles as roles on members.login = roles.rolname
        where
            has_parameter_privilege('temp_file_limit', 'set')
            and pg_has_role(roles.oid, 'member with admin option')
            and not exists (
                select 1
                from unnest(roles.rolconfig) as settings (setting)
                where starts_with(settings.setting, 'temp_file_limit=')
            )
        """
    ).fetchall()
    for (login,) in unbound:
        connection.execute(
            sql.SQL("alter role {} set temp_file_limit = {}").format(
                sql.Identifier(login), sql.Literal(READER_FILES)
            )
        )


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


def _explain_missing(login: str, missing: Iterable[str]) -> str:
    statements = "; ".join(
        f"create role {role} {'nologin' if role == READER else 'login'}" for role in missing
    )
    return (
        f"The role {login} may not create the roles that the warehouse needs. Either let it: "
        f"alter role {login} createrole. Or make them: {statements}; grant {READER} to {login} "
        "with admin option, inherit false, set false"
    )


def _lets_in_the_wrong(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select has_database_privilege('public', current_database(), 'connect, temporary') "
        "or not bool_and(has_database_privilege(name, current_database(), 'connect')) "
        "or not has_database_privilege(%s, current_database(), 'temporary') "
        "from unnest(%s::text[]) as roles (name)",
        [SENDER, list(ROLES)],
    ).fetchone()
    return row == (True,)


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


def driver_connection(connection: sqlalchemy.Connection) -> psycopg.Connection[Any]:
    """The psycopg connection below, in the same transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
