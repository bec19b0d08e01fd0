"""The check that every build begins with: each seed by its declaration, then by what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

from orchestration.ingest.contracts import Column
from orchestration.ingest.validation import fault, shown
from orchestration.seeds.declarations import FILE, Declaration, SeedColumn, read_declarations
from orchestration.seeds.files import Finding, Row, SeedError, SeedFile, read_seed, repeated
from orchestration.seeds.rules import DEFAULT, RULES, known_values

MOST_TOLD = 20
LARGEST_INTEGER = 2**31 - 1
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_seeds(folder: Path) -> dict[str, int]:
    """Check every seed of the folder; returns how many rows each has.

    Raises:
        SeedError: something is wrong; the message lists it, a line each.
    """
    files = read_seeds(folder, read_declarations(folder))
    if found := findings(files):
        told = [str(finding) for finding in found[:MOST_TOLD]]
        if more := len(found) - len(told):
            told.append(f"and {more} more")
        raise SeedError("\n".join(["The seeds cannot be used, so no model is built.", *told]))
    return {name: len(file.rows) for name, file in sorted(files.items())}


def findings(files: Mapping[str, SeedFile]) -> list[Finding]:
    """Everything that is wrong, in the order of the files and their lines."""
    return sorted({finding for file in files.values() for finding in file.findings})


def read_seeds(folder: Path, declared: Mapping[str, Declaration]) -> dict[str, SeedFile]:
    """Every seed with its rows, and what is wrong with them.

    A rule that looks across rows is asked only when the seeds that it needs follow their
    declarations: a range whose end is no number has no gaps to speak of.
    """
    files = {
        name: read_seed(
            folder / f"{name}.csv",
            f"{folder.name}/{name}.csv",
            [column.name for column in declaration.columns],
        )
        for name, declaration in declared.items()
    }
    for name, file in files.items():
        _check_file(file, declared[name], files)
    rows = {name: file.rows for name, file in files.items()}
    sound = {name for name, file in files.items() if not file.findings}
    for needs, rule in RULES:
        if sound.issuperset(needs):
            for seed, line, problem in rule(rows):
                files[seed].blame(line, problem)
    for path in sorted(folder.glob("*.csv")):
        if path.stem not in declared:
            files[path.stem] = SeedFile(f"{folder.name}/{path.name}")
            files[path.stem].blame(0, f"is declared nowhere; describe it in {folder.name}/{FILE}")
    return files


def _check_file(file: SeedFile, declaration: Declaration, files: Mapping[str, SeedFile]) -> None:
    for row in file.rows:
        for column in declaration.columns:
            for problem in _cell_faults(column, row, files):
                file.blame(row.line, f"{column.name}: {problem}")
    for key in declaration.keys:
        for row, first in repeated(file.rows, key):
            shared = ", ".join(f"{column} {row[column] or 'empty'}" for column in key)
            file.blame(row.line, f"{shared} stands in line {first.line} already; change one")
    for column in declaration.columns:
        if file.is_whole and column.name in declaration.complete:
            defaults = {row[column.name] for row in file.rows if row["tenant_id"] == DEFAULT}
            for value in column.allowed:
                if value not in defaults:
                    file.blame(0, f"{value} has no row for {DEFAULT}; add {DEFAULT},{value},…")


def _cell_faults(column: SeedColumn, row: Row, files: Mapping[str, SeedFile]) -> Iterator[str]:
    text = row[column.name]
    if not text:
        if column.required:
            yield "a value is needed"
        return
    for value in text.split("|") if column.is_list else [text]:
        if problem := _value_fault(column, value) or _unknown(column, value, row, files):
            yield problem


def _value_fault(column: SeedColumn, value: str) -> str | None:
    """Why this value is not one of the column's type and range, or None when it is."""
    if column.data_type == "boolean":
        return None if value.lower() in ("true", "false") else _says(value, "true or false")
    if column.data_type == "date":
        return None if _is_date(value) else _says(value, "a date like 2026-01-31")
    data_type = "bigint" if column.data_type == "integer" else column.data_type
    if problem := fault(Column(column.name, data_type), value):
        return problem
    if column.data_type in ("integer", "numeric"):
        number = Decimal(value)
        if column.minimum is not None and number < column.minimum:
            return f"{value} is below {column.minimum}"
        if column.maximum is not None and number > column.maximum:
            return f"{value} is above {column.maximum}"
        if column.data_type == "integer" and abs(number) > LARGEST_INTEGER:
            return f"{value} is beyond {LARGEST_INTEGER}"
    return None


def _unknown(column: SeedColumn, value: str, row: Row, files: Mapping[str, SeedFile]) -> str | None:
    """Why this value is none that the column knows, or None when it is."""
    known = set(column.allowed)
    if column.refers_to:
        seed, referred = column.refers_to
        if not files[seed].is_whole:
            return None
        known |= known_values(files[seed].rows, referred, row["tenant_id"])
    if not (column.allowed or column.refers_to) or value in known:
        return None
    place = f" (see {files[column.refers_to[0]].name})" if column.refers_to else ""
    return f"{shown(value)} is none of {', '.join(sorted(known))}{place}"


def _is_date(value: str) -> bool:
    try:
        return bool(DAY.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False


def _says(value: str, wanted: str) -> str:
    return f"{shown(value)} is not {wanted}"
