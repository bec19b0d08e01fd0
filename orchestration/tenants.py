"""Tenants, and the logins with which their own tools read the marts."""

from __future__ import annotations

import csv
import io
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql

from orchestration.ingest.tenants import COLUMNS, Tenant, read_tenants, tenant_faults
from orchestration.warehouse.errors import DatabaseUnsuitable, JourneyError
from orchestration.warehouse.roles import (
    READER,
    bound_readers,
    driver_connection,
    set_password,
)
from orchestration.warehouse.storage import writing_to

READER_CONNECTIONS = 10
READER_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "1min",
    "idle_session_timeout": "1h",
}
"""What a reader's sessions begin with. They may change it: what they cannot change is the number
of their connections, and the bound of their temporary files."""
TERMINATE_TIMEOUT_MILLISECONDS = 5_000

_LOGIN = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_RESERVED = ("pg_", "journey_")


class TenantError(JourneyError):
    """A tenant or a reader cannot be added or removed as asked."""


@dataclass(frozen=True)
class TenantFacts:
    """A tenant as the seed lists it, and the logins that read its rows."""

    tenant_id: str
    name: str
    time_zone: str
    currency: str
    phone_region: str
    readers: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


def list_tenants(database: sqlalchemy.Engine, seed: Path) -> list[TenantFacts]:
    """Every tenant of the seed with its readers, by tenant_id.

    Raises:
        TenantsError: the seed cannot be read.
    """
    with database.connect() as connection:
        rows = connection.exec_driver_sql(
            "select login, tenant_id from access.tenant_members order by login"
        )
        members = [(str(login), str(tenant_id)) for login, tenant_id in rows]
    return [
        TenantFacts(
            **asdict(tenant),
            readers=tuple(login for login, of in members if of == tenant.tenant_id),
        )
        for _, tenant in sorted(read_tenants(seed).items())
    ]


def add_tenant(seed: Path, tenant: Tenant) -> None:
    """Append a tenant to the seed.

    Raises:
        TenantError: a value cannot be used, or the tenant is there; nothing was written.
        TenantsError: the seed cannot be read as it is.
        StorageError: the seed cannot be written.
    """
    faults = list(tenant_faults(asdict(tenant)))
    if not tenant.name.strip():
        faults.append("name is empty")
    if faults:
        raise TenantError("; ".join(faults))
    if tenant.tenant_id in read_tenants(seed):
        raise TenantError(f"{seed} lists the tenant {tenant.tenant_id} already. Edit its line.")
    before = seed.read_text(encoding="utf-8")
    line = io.StringIO()
    csv.DictWriter(line, COLUMNS, lineterminator="\n").writerow(asdict(tenant))
    with writing_to(seed.parent):
        new = seed.with_name(seed.name + ".new")
        new.write_text(before.rstrip("\n") + "\n" + line.getvalue(), encoding="utf-8")
        new.replace(seed)


def add_reader(database: sqlalchemy.Engine, seed: Path, login: str, tenant_id: str) -> str:
    """Make a login that reads the rows of one tenant; its password, which is kept nowhere.

    Args:
        database: an engine of the role that builds, migrated.
        seed: the list of tenants.
        login: the name of the new role.
        tenant_id: whose rows it sees.

    Raises:
        TenantError: the tenant is unknown, or the name cannot be used or is taken.
        DatabaseUnsuitable: the role that builds may not make logins.
    """
    if tenant_id not in read_tenants(seed):
        raise TenantError(
            f"There is no tenant {tenant_id}. See them with: journey tenant list; add one with: "
            f"journey tenant add {tenant_id}"
        )
    if not _LOGIN.fullmatch(login) or login.startswith(_RESERVED):
        raise TenantError(
            f"{login!r} cannot be a login: use lower-case letters, digits and _, begin with a "
            f"letter and not with {' or '.join(_RESERVED)}"
        )
    password = secrets.token_urlsafe(24)
    try:
        with database.begin() as connection:
            _make_reader(driver_connection(connection), login, tenant_id, password)
    except psycopg.errors.DuplicateObject:
        raise TenantError(
            f"There is a role {login} already. Choose another name, or remove it with: "
            f"journey tenant remove-reader {login}"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_allowed(database, error) from error
    return password


def remove_reader(database: sqlalchemy.Engine, login: str) -> str:
    """End a reader's connections and drop its login; the tenant whose rows it saw.

    Raises:
        TenantError: there is no such reader.
        DatabaseUnsuitable: the role that builds may not drop the login.
    """
    try:
        # two steps, so that nobody comes back while the connections are ended; repeating mends both
        with database.begin() as connection:
            tenant_id = _shut_out(driver_connection(connection), login)
        with database.begin() as connection:
            _drop_reader(driver_connection(connection), login)
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_allowed(database, error) from error
    return tenant_id


def _make_reader(
    connection: psycopg.Connection[Any], login: str, tenant_id: str, password: str
) -> None:
    role = sql.Identifier(login)
    connection.execute(
        sql.SQL("create role {} login in role {} connection limit {}").format(
            role, sql.Identifier(READER), sql.Literal(READER_CONNECTIONS)
        )
    )
    set_password(connection, login, password)
    for name, value in READER_SETTINGS.items():
        connection.execute(
            sql.SQL("alter role {} set {} = {}").format(
                role, sql.Identifier(name), sql.Literal(value)
            )
        )
    connection.execute(
        "insert into access.tenant_members (login, tenant_id, added_at) values (%s, %s, now()) "
        "on conflict (login) do update set tenant_id = excluded.tenant_id, added_at = now()",
        [login, tenant_id],
    )
    bound_readers(connection)


def _shut_out(connection: psycopg.Connection[Any], login: str) -> str:
    row = connection.execute(
        "select tenant_id from access.tenant_members where login = %s", [login]
    ).fetchone()
    if row is None:
        raise TenantError(
            f"{login} is no reader of a tenant. See the readers with: journey tenant list"
        )
    if _exists(connection, login):
        connection.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(login)))
    return str(row[0])


def _drop_reader(connection: psycopg.Connection[Any], login: str) -> None:
    connection.execute("delete from access.tenant_members where login = %s", [login])
    if not _exists(connection, login):
        return
    role = sql.Identifier(login)
    # whoever made a role may not act for it; ending its sessions is an act for it
    connection.execute(
        sql.SQL("grant {} to current_user with inherit true, set false").format(role)
    )
    connection.execute(
        "select pg_terminate_backend(pid, %s) from pg_stat_activity where usename = %s",
        [TERMINATE_TIMEOUT_MILLISECONDS, login],
    )
    connection.execute(sql.SQL("drop owned by {}").format(role))
    connection.execute(sql.SQL("drop role {}").format(role))


def _exists(connection: psycopg.Connection[Any], login: str) -> bool:
    return bool(connection.execute("select 1 from pg_roles where rolname = %s", [login]).fetchone())


def _not_allowed(database: sqlalchemy.Engine, error: psycopg.Error) -> DatabaseUnsuitable:
    owner = database.url.username
    return DatabaseUnsuitable(
        f"The role {owner} may not manage this login ({error.diag.message_primary}). Let an "
        f"administrator run: alter role {owner} createrole; grant {READER} to {owner} with admin "
        "option, inherit false, set false"
    )
