"""The contracts of the landing files, and the raw tables made from them.

A contract is declared once, as a dbt source, in
`dbt_project/models/staging/<system>/_<system>__sources.yml`. The raw table, the validation of
every row, the docs and the dbt models all start from that one declaration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.declared import read_yaml
from orchestration.ingest.errors import ContractError

if TYPE_CHECKING:
    import sqlalchemy

DATA_TYPES = ("text", "numeric", "bigint", "boolean", "timestamptz", "jsonb")
SHAPES = ("list", "object")
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
PATH = re.compile(r"\w+(\.\w+)*")
OWN_COLUMNS = {
    "_load_id": "bigint not null",
    "_line": "bigint not null",
    "_loaded_at": "timestamptz not null",
    "_is_current": "boolean not null",
    "_first_load_id": "bigint",
    "_replaced_by_load_id": "bigint",
}
"""The loader's own columns. `_first_load_id` is the load of the record's first version and null for
that version itself; `_replaced_by_load_id` is set as long as the version is not current."""


@dataclass(frozen=True)
class Column:
    """One column of a landing file."""

    name: str
    data_type: str
    description: str = ""
    required: bool = False
    required_for: tuple[str, tuple[str, ...]] | None = None
    """A column that says what the row is, and of which kinds this one must not be empty."""
    allowed: tuple[str, ...] = ()
    shape: str | None = None
    """For jsonb: `list` or `object` when nothing else will do."""
    minimum: int | None = None
    maximum: int | None = None
    """The least and the greatest number, for numeric and bigint."""
    amounts: tuple[str, ...] = ()
    """For jsonb: dotted paths, through lists too, to what must be an amount of zero or more."""
    texts: tuple[str, ...] = ()
    """For jsonb: dotted paths to what must be a text or a number."""
    required_paths: tuple[str, ...] = ()
    """For jsonb: dotted paths, through lists too, to what must not be empty."""

    @property
    def quoted(self) -> str:
        """The name as SQL wants it."""
        return quote(self.name)


@dataclass(frozen=True)
class Sighting:
    """Rows of a source that show the same identifiers as written are one sighting of somebody.

    Only for sources with many rows per person; elsewhere every record is a sighting of its own.
    """

    columns: tuple[str, ...]
    """What is compared."""
    known_by: tuple[str, ...]
    """Those that name a person; a row without any of them shows nobody and has no sighting."""
    alone: str | None = None
    """An SQL condition for rows that are a sighting of their own."""


@dataclass(frozen=True)
class Erasure:
    """What becomes of the rows that show a person who asked to be forgotten."""

    before: str
    """The column with the time of the row; what was recorded after the request stays."""
    shows: Mapping[str, str]
    """SQL expressions over a row, and the type of the identifier that each holds."""
    becomes: Mapping[str, str]
    """SQL for the columns of rows that are kept. Without any, the rows go. `pseudonymous_email` and
    `pseudonymous_phone` stand for the values that take the person's place."""
    kept: str | None = None
    """An SQL condition: rows that do not meet it go; without one all are kept."""


@dataclass(frozen=True)
class Contract:
    """What the files of one source must look like."""

    source: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_required: bool = True
    """False when rows without a key are legal; they are kept as they come, repeats included."""
    version: str | None = None
    """The column that says which of two versions of a record is newer."""
    phones: tuple[str, ...] = ()
    """SQL expressions over a row whose values are phone numbers."""
    sighting: Sighting | None = None
    erasure: tuple[Erasure, ...] = ()
    """Per person that a row may show, such as the sender and the recipient of a gift."""

    @property
    def table(self) -> str:
        """The raw table, as SQL wants it."""
        return f"raw.{quote(self.source)}"

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def quote(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def read_contracts(dbt_project: Path) -> dict[str, Contract]:
    """Read every contract of the dbt project, by source name.

    Raises:
        ContractError: a declaration is malformed; the message names file, source and column.
    """
    contracts: dict[str, Contract] = {}
    files = sorted(dbt_project.glob("models/staging/*/_*__sources.yml"))
    if not files:
        raise ContractError(
            f"{dbt_project}: no contract found; they are expected in "
            "models/staging/<system>/_<system>__sources.yml"
        )
    for file in files:
        for contract in _contracts_of(file):
            if contract.source in contracts:
                raise ContractError(f"{file}: source {contract.source} is declared twice")
            contracts[contract.source] = contract
    return dict(sorted(contracts.items()))


def _contracts_of(file: Path) -> Iterator[Contract]:
    import yaml

    try:
        document = read_yaml(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{file}: not readable as YAML: {error}") from error
    for source in (document or {}).get("sources") or []:
        if source.get("name") != "raw":
            continue
        for table in source.get("tables") or []:
            yield parse_contract(table, place=str(file))


def parse_contract(table: Mapping[str, Any], place: str) -> Contract:
    """Turn the declaration of one dbt source table into a contract.

    Raises:
        ContractError: something is missing or contradicts itself; `place` is named.
    """
    name = table.get("name")
    if not isinstance(name, str) or not SOURCE_NAME.fullmatch(name):
        raise ContractError(f"{place}: {name!r} is not a source name (lower case, a-z, 0-9, _)")
    where = f"{place}: source {name}"
    meta = _meta(table)
    unknown = set(meta) - {"key", "key_required", "version", "phones", "sighting", "erasure"}
    if unknown:
        raise ContractError(f"{where}: unknown meta {', '.join(sorted(unknown))}")
    columns = tuple(_column(column, where) for column in table.get("columns") or [])
    names = [column.name for column in columns]
    if not columns:
        raise ContractError(f"{where}: no columns declared")
    for column_name in names:
        if names.count(column_name) > 1:
            raise ContractError(f"{where}: column {column_name} is declared twice")
    for column in columns:
        if column.required_for and column.required_for[0] not in names:
            raise ContractError(
                f"{where}, column {column.name}: required_for names {column.required_for[0]}, "
                "which is no column"
            )
    contract = Contract(
        source=name,
        description=str(table.get("description", "")),
        columns=columns,
        key=_strings(meta.get("key"), f"{where}: key"),
        key_required=_flag(meta.get("key_required", True), f"{where}: key_required"),
        version=meta.get("version"),
        phones=_strings(meta.get("phones", []), f"{where}: phones"),
        sighting=_sighting(meta.get("sighting"), names, f"{where}: sighting"),
        erasure=tuple(
            _erasure(rule, names, f"{where}: erasure") for rule in meta.get("erasure") or []
        ),
    )
    if not contract.key:
        raise ContractError(f"{where}: meta.key is missing; name the columns that identify a row")
    for named in (*contract.key, *([contract.version] if contract.version else [])):
        if named not in names:
            raise ContractError(f"{where}: key or version names {named}, which is not a column")
    for part in contract.key:
        if contract.column(part).data_type not in ("text", "bigint", "timestamptz"):
            raise ContractError(f"{where}: key column {part} must be text, bigint or timestamptz")
    return contract


def _column(column: Mapping[str, Any], where: str) -> Column:
    name = column.get("name")
    if not isinstance(name, str) or not name or len(name.encode()) > 63:
        raise ContractError(f"{where}: {name!r} is not a column name")
    if name in ("tenant_id", "_sighting_id", *OWN_COLUMNS):
        raise ContractError(f"{where}: column {name} is reserved for the loader")
    where = f"{where}, column {name}"
    data_type = column.get("data_type")
    if data_type not in DATA_TYPES:
        raise ContractError(f"{where}: data_type {data_type!r} is none of {', '.join(DATA_TYPES)}")
    meta = _meta(column)
    unknown = set(meta) - {
        "required", "required_for", "allowed", "shape", "minimum", "maximum", "amounts", "texts",
        "required_paths",
    }  # fmt: skip
    if unknown:
        raise ContractError(f"{where}: unknown meta {', '.join(sorted(unknown))}")
    allowed = _strings(meta.get("allowed", []), f"{where}: allowed")
    if allowed and data_type != "text":
        raise ContractError(f"{where}: allowed values are for text columns only")
    shape = meta.get("shape")
    if shape is not None and (shape not in SHAPES or data_type != "jsonb"):
        raise ContractError(f"{where}: shape is list or object, and for jsonb columns only")
    minimum = _limit(meta.get("minimum"), data_type, f"{where}: minimum")
    maximum = _limit(meta.get("maximum"), data_type, f"{where}: maximum")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ContractError(f"{where}: minimum {minimum} is above maximum {maximum}")
    return Column(
        name=name,
        data_type=str(data_type),
        description=str(column.get("description", "")),
        required=_flag(meta.get("required", False), f"{where}: required"),
        required_for=_kinds(meta.get("required_for"), f"{where}: required_for"),
        allowed=allowed,
        shape=shape,
        minimum=minimum,
        maximum=maximum,
        amounts=_paths(meta.get("amounts"), data_type, f"{where}: amounts"),
        texts=_paths(meta.get("texts"), data_type, f"{where}: texts"),
        required_paths=_paths(meta.get("required_paths"), data_type, f"{where}: required_paths"),
    )


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = (node.get("config") or {}).get("meta") or {}
    return meta if isinstance(meta, Mapping) else {}


def _strings(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ContractError(f"{where} must be a list of texts, not {value!r}")
    return tuple(value)


def _sighting(value: object, names: list[str], where: str) -> Sighting | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - {"columns", "known_by", "alone"}:
        raise ContractError(f"{where} has columns, known_by and perhaps alone, not {value!r}")
    sighting = Sighting(
        columns=_strings(value.get("columns"), f"{where}.columns"),
        known_by=_strings(value.get("known_by"), f"{where}.known_by"),
        alone=value.get("alone"),
    )
    if not sighting.known_by or not set(sighting.known_by) <= set(sighting.columns) <= set(names):
        raise ContractError(f"{where}: known_by must be some of columns, and those of the source")
    return sighting


def _erasure(value: object, names: list[str], where: str) -> Erasure:
    if not isinstance(value, Mapping) or set(value) - {"before", "shows", "becomes", "kept"}:
        raise ContractError(f"{where} has before, shows, becomes and kept, not {value!r}")
    shows, becomes = value.get("shows") or {}, value.get("becomes") or {}
    if value.get("before") not in names or not shows or not set(becomes) <= set(names):
        raise ContractError(f"{where}: before and becomes name columns, and shows says whom")
    return Erasure(value["before"], dict(shows), dict(becomes), value.get("kept"))


def _kinds(value: object, where: str) -> tuple[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ContractError(f"{where} names one column with its kinds, not {value!r}")
    ((column, kinds),) = value.items()
    return str(column), _strings(kinds, where)


def _limit(value: object, data_type: str, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ContractError(f"{where} must be a whole number, not {value!r}")
    if data_type not in ("numeric", "bigint"):
        raise ContractError(f"{where} is for numeric and bigint columns only")
    return value


def _paths(value: object, data_type: str, where: str) -> tuple[str, ...]:
    paths = _strings(value, where)
    for path in paths:
        if not PATH.fullmatch(path):
            raise ContractError(f"{where}: {path!r} is not a path like transactions.amount")
    if paths and data_type != "jsonb":
        raise ContractError(f"{where} are for jsonb columns only")
    return paths


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ContractError(f"{where} must be true or false, not {value!r}")
    return value


def ensure_raw_tables(
    connection: sqlalchemy.Connection, contracts: Mapping[str, Contract] | None = None
) -> None:
    """Make the raw table of every contract, and add columns that were declared since.

    `raw.<source>` keeps every distinct version of a record; `_is_current` marks the one that
    holds. Safe to repeat; a table that fits is not touched.

    Raises:
        ContractError: a column of the table has another type than its contract now declares.
    """
    if contracts is None:
        from orchestration.settings import DBT_PROJECT_DIR

        contracts = read_contracts(DBT_PROJECT_DIR)
    existing = _existing_columns(connection)
    for contract in contracts.values():
        present = existing.get(contract.source)
        if present is None:
            for statement in raw_table_ddl(contract):
                connection.exec_driver_sql(statement)
            continue
        for column in contract.columns:
            found = present.get(column.name)
            if found is None:
                connection.exec_driver_sql(
                    f"alter table {contract.table} add column {column.quoted} {column.data_type}"
                )
            elif found != column.data_type:
                raise ContractError(
                    f"raw.{contract.source}: column {column.name} is {found}, but its contract "
                    f"says {column.data_type}. Give the new column another name, or migrate the "
                    "table first."
                )
    connection.exec_driver_sql("select access.admit_sender()")


def raw_table_ddl(contract: Contract) -> tuple[str, ...]:
    """The statements that make the raw table of a contract, with its indexes.

    The block-range index answers "which rows came since a load" and "which rows have a date in
    this span" without reading the table; it costs next to nothing to keep.
    """
    columns = [f"{column.quoted} {column.data_type}" for column in contract.columns]
    columns += [f"{name} {data_type}" for name, data_type in OWN_COLUMNS.items()]
    if contract.sighting:
        sighting = _sighting_expression(contract.sighting)
        columns.append(f"_sighting_id text generated always as ({sighting}) stored")
    dates = [column.quoted for column in contract.columns if column.data_type == "timestamptz"]
    key = ", ".join(quote(part) for part in contract.key)
    nulls = " nulls not distinct" if contract.key_required else ""
    table = contract.table

    def index(name: str) -> str:
        return quote(f"{contract.source}__{name}")

    statements = [
        f"create table {table} (\n    tenant_id text not null,\n    "
        + ",\n    ".join(columns)
        + "\n)",
        f"create unique index {index('current')} on {table} (tenant_id, {key}){nulls}"
        " where _is_current",
        f"create index {index('by_load')} on {table} using brin ({', '.join(['_load_id', *dates])})"
        " with (pages_per_range = 32)",
        f"create index {index('replaced')} on {table} (_replaced_by_load_id)"
        " where _replaced_by_load_id is not null",
    ]
    if contract.sighting:
        statements.append(
            f"create index {index('sighting')} on {table} (tenant_id, _sighting_id)"
            " where _is_current and _sighting_id is not null"
        )
    return tuple(statements)


def _sighting_expression(sighting: Sighting) -> str:
    """SQL for a hash of what the row shows; parts carry their length, so that none can collide."""
    parts = " || ".join(
        f"coalesce(length({quote(name)})::text || ':' || {quote(name)}, '-')"
        for name in sighting.columns
    )
    known_by = ", ".join(quote(name) for name in sighting.known_by)
    alone = "'line:' || _load_id::text || ':' || _line::text"
    cases = [f"when {sighting.alone} then {alone}"] if sighting.alone else []
    cases.append(f"when num_nonnulls({known_by}) > 0 then md5({parts})")
    return f"case {' '.join(cases)} end"


def _existing_columns(connection: sqlalchemy.Connection) -> dict[str, dict[str, str]]:
    rows = connection.exec_driver_sql(
        """
        select
            pg_class.relname,
            pg_attribute.attname,
            case format_type(pg_attribute.atttypid, pg_attribute.atttypmod)
                when 'timestamp with time zone' then 'timestamptz'
                else format_type(pg_attribute.atttypid, pg_attribute.atttypmod)
            end
        from pg_attribute
        inner join pg_class on pg_attribute.attrelid = pg_class.oid
        where
            pg_class.relnamespace = 'raw'::regnamespace
            and pg_class.relkind in ('r', 'p')
            and pg_attribute.attnum > 0
            and not pg_attribute.attisdropped
        """
    )
    existing: dict[str, dict[str, str]] = {}
    for table, column, data_type in rows:
        existing.setdefault(str(table), {})[str(column)] = str(data_type)
    return existing
