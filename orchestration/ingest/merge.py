"""The SQL that brings the rows of one file, already in a temporary table, into their raw table.

Every distinct version of a record is kept and exactly one is current. Rows whose key is new and
stands once in the file need no thought; only the others are compared with what is there.
"""

# ruff: noqa: S608
# Statements are put together from the contracts' quoted names only; values are parameters.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from orchestration.ingest.contracts import Contract, quote

INCOMING = "pg_temp.incoming"
RECURRING = "pg_temp.recurring"
CHANGES = "pg_temp.changes"
WORK_MEMORY = "128MB"


@dataclass(frozen=True)
class Merged:
    """How many rows of a file came to something, and how many changed nothing."""

    loaded: int
    unchanged: int


def create_incoming(cursor: psycopg.Cursor[Any], contract: Contract) -> None:
    """Make the temporary table that receives a file; it goes with the transaction."""
    columns = ", ".join(f"{column.quoted} {column.data_type}" for column in contract.columns)
    cursor.execute(f"create temp table incoming ({columns}, _line bigint not null) on commit drop")


def copy_statement(contract: Contract) -> str:
    """The COPY that fills the temporary table from CSV."""
    columns = ", ".join(column.quoted for column in contract.columns)
    return f"copy {INCOMING} ({columns}, _line) from stdin with (format csv)"


def merge(cursor: psycopg.Cursor[Any], contract: Contract, tenant_id: str, load_id: int) -> Merged:
    """Bring the incoming rows into the raw table.

    A record seen again with the same content, or in an older version than the current one,
    changes nothing. A newer version (by the contract's version column, then by load and line)
    becomes current. Versions that a later one in the same file supersedes are kept as not
    current.
    """
    values = {"tenant_id": tenant_id, "load_id": load_id}
    cursor.execute(f"set local work_mem = '{WORK_MEMORY}'")
    cursor.execute(_recurring(contract), values)
    recurring = cursor.rowcount
    cursor.execute(_insert(contract, INCOMING, "true", without_recurring=recurring > 0), values)
    fresh = cursor.rowcount
    if recurring == 0:
        return Merged(fresh, 0)
    cursor.execute(f"analyze {RECURRING}")
    cursor.execute(_changes(contract), values)
    changes = cursor.rowcount
    if changes:
        cursor.execute(_supersede(contract), values)
        cursor.execute(_insert(contract, CHANGES, "incoming._is_last"), values)
    return Merged(fresh + changes, recurring - changes)


def _recurring(contract: Contract) -> str:
    """Rows whose key stands in the file more than once or in the raw table already."""
    key = [f"incoming.{quote(part)}" for part in contract.key]
    has_key = "true" if contract.key_required else f"num_nulls({', '.join(key)}) = 0"
    # Hashes that collide only bring two innocent rows here, where they are compared exactly.
    hashed = f"hashtextextended(row({', '.join(key)})::text, 0)"
    if len(key) == 1 and contract.column(contract.key[0]).data_type == "text":
        hashed = f"hashtextextended({key[0]}, 0)"
    return f"""
        create temp table recurring on commit drop as
        select incoming.*
        from {INCOMING} as incoming
        where
            {has_key}
            and (
                {hashed} in (
                    select {hashed} as key_hash
                    from {INCOMING} as incoming
                    where {has_key}
                    group by key_hash
                    having count(*) > 1
                )
                or exists (
                    select 1
                    from {contract.table} as stored
                    where
                        stored.tenant_id = %(tenant_id)s
                        and stored._is_current
                        and {_same_key(contract, "stored", "incoming")}
                )
            )
    """


def _insert(
    contract: Contract, rows: str, is_current: str, *, without_recurring: bool = False
) -> str:
    columns = ", ".join(column.quoted for column in contract.columns)
    values = ", ".join(f"incoming.{column.quoted}" for column in contract.columns)
    condition = (
        f"""
        where not exists (
            select 1
            from {RECURRING} as recurring
            where recurring._line = incoming._line
        )
        """
        if without_recurring
        else ""
    )
    return f"""
        insert into {contract.table} (
            tenant_id, {columns}, _load_id, _line, _loaded_at, _is_current
        )
        select
            %(tenant_id)s, {values}, %(load_id)s, incoming._line, now(), {is_current}
        from {rows} as incoming
        {condition}
    """


def _changes(contract: Contract) -> str:
    """The recurring rows that say something new, in order of version."""
    columns = [column.quoted for column in contract.columns]
    key = ", ".join(quote(part) for part in contract.key)
    version = f"{quote(contract.version)} asc nulls first, " if contract.version else ""
    same = " and ".join(
        f"{column} is not distinct from lag({column}) over history" for column in columns
    )
    listed = ", ".join(columns)
    qualified = ", ".join(f"stored.{column}" for column in columns)
    return f"""
        create temp table changes on commit drop as
        with

        candidates as (
            select {listed}, _line, false as is_stored
            from {RECURRING}
            union all
            select {qualified}, 0 as _line, true as is_stored
            from {contract.table} as stored
            where
                stored.tenant_id = %(tenant_id)s
                and stored._is_current
                and exists (
                    select 1
                    from {RECURRING} as recurring
                    where {_same_key(contract, "stored", "recurring")}
                )
        ),

        compared as (
            select
                {listed},
                _line,
                is_stored,
                row_number() over history > 1 and {same} as is_repeat,
                bool_or(is_stored) over (partition by {key}) as has_stored,
                bool_or(is_stored) over history as is_after_stored
            from candidates
            window history as (
                partition by {key}
                order by {version}is_stored desc, _line asc
            )
        )

        select
            {listed},
            _line,
            row_number() over (
                partition by {key}
                order by {version.replace(" asc nulls first", " desc nulls last")}_line desc
            ) = 1 as _is_last
        from compared
        where
            not is_stored
            and not is_repeat
            and (is_after_stored or not has_stored)
    """


def _supersede(contract: Contract) -> str:
    return f"""
        update {contract.table} as stored
        set _is_current = false
        from {CHANGES} as changes
        where
            stored.tenant_id = %(tenant_id)s
            and stored._is_current
            and changes._is_last
            and {_same_key(contract, "stored", "changes")}
    """


def _same_key(contract: Contract, left: str, right: str) -> str:
    """Equality of two keys in a form that can use an index or a hash.

    A nullable part of the key is compared as a value that it cannot hold: the loader stores no
    empty text.
    """
    nothing = {"text": "''", "timestamptz": "'-infinity'", "bigint": "0"}
    conditions = []
    for part in contract.key:
        column = contract.column(part)
        sides = [f"{side}.{column.quoted}" for side in (left, right)]
        if contract.key_required and not column.required:
            sides = [f"coalesce({side}, {nothing[column.data_type]})" for side in sides]
        conditions.append(f"{sides[0]} = {sides[1]}")
    return " and ".join(conditions)
