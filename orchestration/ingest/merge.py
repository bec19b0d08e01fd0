# ruff: noqa: S608
# Statements are put together from the contracts' quoted names only; values are parameters.
"""The SQL that brings the rows of one file into their raw table.

Every distinct version of a record is kept and exactly one is current. Rows arrive in pieces. A
piece whose keys are all new goes straight into the raw table, at the speed of COPY. A piece that
the unique index refuses waits in a temporary table until the file is read; there, rows that are
new after all are set apart from those that recur, and only the latter are compared with what is
stored.
"""

from __future__ import annotations

from typing import Any

import psycopg

from orchestration.ingest.contracts import Contract, quote

INCOMING = "pg_temp.incoming"
RECURRING = "pg_temp.recurring"
CHANGES = "pg_temp.changes"
ADDED = ("tenant_id", "_load_id", "_line", "_loaded_at", "_is_current")
"""The loader's own columns, which every row of a piece carries besides those of its contract."""
WORK_MEMORY = "128MB"
PATIENCE = 3
"""Refused pieces after which, unless most were accepted, the rest goes the slow way at once."""


class Merge:
    """One file on its way into its raw table, inside one transaction.

    A record seen again with the same content changes nothing. The newest version (by the
    contract's version column, then by load and line) becomes current. Versions that arrive after
    a newer one are kept as not current, so that no order of loads decides what is known.
    """

    def __init__(
        self, cursor: psycopg.Cursor[Any], contract: Contract, tenant_id: str, load_id: int
    ) -> None:
        self.cursor = cursor
        self.contract = contract
        self.values = {"tenant_id": tenant_id, "load_id": load_id}
        self.rows_loaded = 0
        self.rows_unchanged = 0
        self._accepted = 0
        self._refused = 0

    def add(self, piece: bytes) -> None:
        """Take some rows, as CSV with the contract's columns and then those in ADDED."""
        if self._refused < PATIENCE or self._refused < self._accepted:
            try:
                with self.cursor.connection.transaction():
                    self.rows_loaded += self._copy(self.contract.table, piece)
                self._accepted += 1
                return
            except psycopg.errors.UniqueViolation:
                self._refused += 1
                if self._refused == 1:
                    self.cursor.execute(
                        f"create temp table incoming (like {self.contract.table}) on commit drop"
                    )
        self._copy(INCOMING, piece)

    def finish(self) -> None:
        """Settle the rows that wait, so that `rows_loaded` and `rows_unchanged` hold."""
        if not self._refused:
            return
        execute = self.cursor.execute
        execute(f"set local work_mem = '{WORK_MEMORY}'")
        execute(_recurring(self.contract), self.values)
        recurring = self.cursor.rowcount
        execute(f"create index on {RECURRING} (_line)")
        execute(f"analyze {RECURRING}")
        execute(_insert_new(self.contract), self.values)
        self.rows_loaded += self.cursor.rowcount
        execute(_changes(self.contract), self.values)
        changes = self.cursor.rowcount
        execute(_supersede(self.contract), self.values)
        execute(_insert_changes(self.contract), self.values)
        self.rows_loaded += changes
        self.rows_unchanged += recurring - changes
        execute(f"drop table {INCOMING}, {RECURRING}, {CHANGES}")

    def phones(self) -> str:
        """A query whose rows hold the values of the contract's `phones` expressions."""
        sources = [f"{self.contract.table} where _load_id = {self.values['load_id']}"]
        if self._refused:
            sources.append(INCOMING)
        return " union all ".join(
            f"select ({expression}) as phone from {source}"
            for expression in self.contract.phones
            for source in sources
        )

    def _copy(self, table: str, piece: bytes) -> int:
        names = [column.quoted for column in self.contract.columns]
        columns = ", ".join([*names, *ADDED])
        with self.cursor.copy(f"copy {table} ({columns}) from stdin with (format csv)") as copy:
            copy.write(piece)
        return self.cursor.rowcount


def _recurring(contract: Contract) -> str:
    """Waiting rows whose key waits more than once, or stands in the raw table."""
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


def _insert_new(contract: Contract) -> str:
    columns = ", ".join(column.quoted for column in contract.columns)
    values = ", ".join(f"incoming.{column.quoted}" for column in contract.columns)
    return f"""
        insert into {contract.table} (
            tenant_id, {columns}, _load_id, _line, _loaded_at, _is_current
        )
        select %(tenant_id)s, {values}, %(load_id)s, incoming._line, now(), true
        from {INCOMING} as incoming
        where not exists (
            select 1
            from {RECURRING} as recurring
            where recurring._line = incoming._line
        )
    """


def _insert_changes(contract: Contract) -> str:
    """The new versions; one that is not the last is replaced from the start."""
    columns = ", ".join(column.quoted for column in contract.columns)
    return f"""
        insert into {contract.table} (
            tenant_id, {columns}, _load_id, _line, _loaded_at, _is_current,
            _first_load_id, _replaced_by_load_id
        )
        select
            %(tenant_id)s, {columns}, %(load_id)s, _line, now(), _is_last,
            _first_load_id, case when not _is_last then %(load_id)s end
        from {CHANGES}
    """


def _changes(contract: Contract) -> str:
    """The recurring rows that say something new; `_is_last` marks what becomes current.

    The versions of a record stand in order of version, load and line. Neighbours with the same
    content are one state, and a state that is stored already is nothing new. What stands before
    the current row of an earlier load came late, and is compared with what was replaced as well.
    """
    columns = [column.quoted for column in contract.columns]
    listed = ", ".join(columns)
    qualified = ", ".join(f"stored.{column}" for column in columns)
    identical = " and ".join(
        f"stored.{column} is not distinct from numbered.{column}" for column in columns
    )
    key = ", ".join(quote(part) for part in contract.key)
    version = f"{quote(contract.version)} asc nulls first, " if contract.version else ""
    backwards = f"{quote(contract.version)} desc nulls last, " if contract.version else ""
    same = " and ".join(
        f"{column} is not distinct from lag({column}) over history" for column in columns
    )
    return f"""
        create temp table changes on commit drop as
        with

        candidates as (
            select
                {listed}, _load_id, _line, cast(null as bigint) as _stored_since, false as is_stored
            from {RECURRING}
            union all
            select
                {qualified}, stored._load_id, stored._line,
                coalesce(stored._first_load_id, stored._load_id) as _stored_since, true as is_stored
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
                *,
                case when row_number() over history > 1 and {same} then 0 else 1 end as is_state,
                max(case when is_stored then _load_id end) over (partition by {key})
                    < %(load_id)s as has_earlier,
                bool_or(is_stored) over history as is_after_stored
            from candidates
            window history as (
                partition by {key}
                order by {version}_load_id asc, _line asc
            )
        ),

        numbered as (
            select
                *,
                sum(is_state) over (
                    partition by {key}
                    order by {version}_load_id asc, _line asc
                ) as state_number
            from compared
        ),

        known_before as (
            select numbered._line
            from numbered
            inner join {contract.table} as stored
                on {_same_key(contract, "stored", "numbered")} and {identical}
            where
                not numbered.is_after_stored
                and numbered.has_earlier
                and stored.tenant_id = %(tenant_id)s
                and stored._replaced_by_load_id is not null
        ),

        judged as (
            select
                *,
                is_state = 1
                and not bool_or(is_stored) over (partition by {key}, state_number)
                and not exists (
                    select 1 from known_before where known_before._line = numbered._line
                ) as is_change
            from numbered
        ),

        ranked as (
            select
                *,
                row_number() over (
                    partition by {key}
                    order by {backwards}_load_id desc, _line desc
                ) = 1 as _is_last,
                max(_stored_since) over (partition by {key}) as _first_load_id
            from judged
            where is_change or is_stored
        )

        select {listed}, _line, _is_last, _first_load_id
        from ranked
        where is_change
    """


def _supersede(contract: Contract) -> str:
    return f"""
        update {contract.table} as stored
        set _is_current = false, _replaced_by_load_id = %(load_id)s
        from {CHANGES} as changes
        where
            stored.tenant_id = %(tenant_id)s
            and stored._is_current
            and changes._is_last
            and {_same_key(contract, "stored", "changes")}
    """


def _same_key(contract: Contract, left: str, right: str) -> str:
    """Equality of two keys in a form that can use a hash, and an index where no part is null.

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
