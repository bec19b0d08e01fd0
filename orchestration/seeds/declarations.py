"""What `seeds/_seeds.yml` declares about the seeds; dbt reads the types from the same place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.declared import read_yaml
from orchestration.seeds.files import SeedError

FILE = "_seeds.yml"
DATA_TYPES = ("text", "integer", "numeric", "boolean", "date", "timestamptz")
SEED_META = {"key", "unique", "complete"}
COLUMN_META = {"required", "allowed", "refers_to", "list", "minimum", "maximum"}


@dataclass(frozen=True)
class SeedColumn:
    """One column of a seed."""

    name: str
    data_type: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    refers_to: tuple[str, str] | None = None
    """The seed and the column in which every value must stand that is not an allowed one."""
    is_list: bool = False
    """Whether a value is several, separated by |."""
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True)
class Declaration:
    """What one seed must look like."""

    seed: str
    columns: tuple[SeedColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    """Lists of columns that no two rows share."""
    complete: tuple[str, ...] = ()
    """Columns of which every allowed value stands in a row for every tenant."""


def read_declarations(folder: Path) -> dict[str, Declaration]:
    """Read what is declared about every seed, by its name.

    Raises:
        SeedError: a declaration is malformed; the message names seed and column.
    """
    import yaml

    file = folder / FILE
    try:
        document = read_yaml(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SeedError(f"{file} cannot be read: {error}") from error
    return {
        seed["name"]: _declaration(seed, f"{FILE}: seed {seed['name']}")
        for seed in document["seeds"]
    }


def _declaration(seed: Mapping[str, Any], where: str) -> Declaration:
    config = seed.get("config") or {}
    types: dict[str, str] = config.get("column_types") or {}
    described = {column["name"]: _meta(column, COLUMN_META, where) for column in seed["columns"]}
    if set(types) != set(described):
        odd = ", ".join(sorted(set(types) ^ set(described)))
        raise SeedError(f"{where}: column_types and columns differ in {odd}")
    meta = _meta(seed, SEED_META, where)
    keys = [key for key in (meta.get("key"), *meta.get("unique", [])) if key]
    complete = tuple(meta.get("complete", ()))
    for name in (name for key in (*keys, complete) for name in key if name not in types):
        raise SeedError(f"{where}: meta names {name}, which is not a column")
    columns = [
        _column(name, types[name], meta, f"{where}, column {name}")
        for name, meta in described.items()
    ]
    return Declaration(str(seed["name"]), tuple(columns), tuple(map(tuple, keys)), complete)


def _meta(node: Mapping[str, Any], known: set[str], where: str) -> dict[str, Any]:
    meta: dict[str, Any] = (node.get("config") or {}).get("meta") or {}
    if unknown := set(meta) - known:
        raise SeedError(f"{where}: unknown meta {', '.join(sorted(unknown))}")
    return meta


def _column(name: str, data_type: str, meta: Mapping[str, Any], where: str) -> SeedColumn:
    if data_type not in DATA_TYPES:
        raise SeedError(f"{where}: type {data_type!r} is none of {', '.join(DATA_TYPES)}")
    seed, _, column = meta.get("refers_to", "").partition(".")
    if seed and not column:
        raise SeedError(f"{where}: refers_to is written like tenants.tenant_id")
    return SeedColumn(
        name=name,
        data_type=data_type,
        required=meta.get("required", False),
        allowed=tuple(meta.get("allowed", ())),
        refers_to=(seed, column) if seed else None,
        is_list=meta.get("list", False),
        minimum=_limit(meta.get("minimum")),
        maximum=_limit(meta.get("maximum")),
    )


def _limit(value: int | float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))
