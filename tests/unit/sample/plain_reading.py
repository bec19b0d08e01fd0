"""Reads landing files and checks contracts in the plainest way, apart from the loader's code."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestration.settings import DBT_PROJECT_DIR


@cache
def contracts() -> dict[str, dict[str, Any]]:
    """Contract columns by source: name -> (type, required, required for, allowed)."""
    found = {}
    for file in sorted(DBT_PROJECT_DIR.glob("models/staging/*/_*__sources.yml")):
        for source in yaml.safe_load(file.read_text())["sources"]:
            for table in source["tables"]:
                found[table["name"]] = {
                    column["name"]: (
                        column["data_type"],
                        *(
                            column.get("config", {}).get("meta", {}).get(key)
                            for key in ("required", "required_for", "allowed")
                        ),
                    )
                    for column in table["columns"]
                }
    return found


def lines(path: Path) -> list[str]:
    """The physical lines of a text file."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return text.split("\n")[:-1]


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, row); the row is a kind of mistake when the line is no row at all."""
    if ".jsonl" in path.name:
        for number, line in enumerate(lines(path), start=1):
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            yield number, value if isinstance(value, dict) else "broken_line"
    else:
        reader = csv.reader(lines(path))
        header = next(reader)
        for values in reader:
            if len(values) == len(header):
                yield reader.line_num, {k: v or None for k, v in zip(header, values, strict=True)}
            else:
                yield reader.line_num, "field_count"


@cache
def good_rows(landing: Path, tenant: str, source: str) -> tuple[dict[str, Any], ...]:
    """All rows of a source that keep its contract."""
    return tuple(
        row
        for path in sorted((landing / tenant / source).iterdir())
        for _, row in rows(path)
        if isinstance(row, dict) and not list(faults(source, row))
    )


def faults(source: str, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(column, kind of mistake) of a row."""
    for name, (data_type, required, required_for, allowed) in contracts()[source].items():
        value = row.get(name)
        if value is None or value == "":
            if required or any(
                row.get(one) in kinds for one, kinds in (required_for or {}).items()
            ):
                yield name, "missing"
        elif not _fits(data_type, value):
            yield name, f"bad_{_WORDS[data_type]}"
        elif allowed and value not in allowed:
            yield name, "not_allowed"


_WORDS = {
    "numeric": "number",
    "bigint": "number",
    "timestamptz": "date",
    "boolean": "boolean",
    "jsonb": "json",
}


def _fits(data_type: str, value: Any) -> bool:
    try:
        match data_type:
            case "numeric":
                return math.isfinite(float(value))
            case "bigint":
                return str(int(value)) == str(value)
            case "timestamptz":
                return datetime.fromisoformat(value).tzinfo is not None
            case "boolean":
                return value in (True, False, "true", "false")
            case "jsonb":
                if isinstance(value, str):
                    json.loads(value)
                return True
            case _:
                return True
    except ValueError:
        return False
