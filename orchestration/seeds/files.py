"""Seed files as rows that know their line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from orchestration.warehouse.errors import JourneyError

EMPTY = ("", "null")
"""What dbt reads as no value, in any case."""


class SeedError(JourneyError):
    """Seeds cannot be used; the message names every file and line, and the way out."""


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong in a seed, where, and how to mend it."""

    file: str
    line: int
    """Line where the row starts; 0 when no line is to blame."""
    problem: str

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}" if self.line else self.file
        return f"{where}: {self.problem}"


@dataclass(frozen=True)
class Row:
    """One row of a seed; no value is an empty text."""

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def number(self, column: str) -> Decimal | None:
        """The value of a column of numbers."""
        return Decimal(self[column]) if self[column] else None


@dataclass
class SeedFile:
    """A seed file as far as it could be read."""

    name: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    is_whole: bool = False
    """False when a line cannot be read, so that nothing is said about rows that seem to lack."""

    def blame(self, line: int, problem: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(self.name, line, problem))


def read_seed(
    file: Path, name: str, columns: Sequence[str], *, more_columns: bool = False
) -> SeedFile:
    """Read a seed file; what is wrong with its form becomes findings.

    Args:
        file: where it is.
        name: what messages call it.
        columns: the columns it must have, in any order.
        more_columns: whether it may have others as well.
    """
    seed = SeedFile(name)
    try:
        content = file.read_bytes()
    except OSError as error:
        seed.blame(0, f"cannot be read: {error.strerror}; its columns are {', '.join(columns)}")
        return seed
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        seed.blame(line, "is not UTF-8; save the file as CSV in the encoding UTF-8")
        return seed
    records = _records(text, seed)
    _, header = next(records, (1, []))
    _check_header(seed, header, columns, more_columns)
    if seed.findings:
        return seed
    for line, values in records:
        if not values:
            seed.blame(line, "is empty; delete it")
        elif len(values) != len(header):
            seed.blame(
                line,
                f"has {len(values)} values for {len(header)} columns; "
                "write as many, and put a value that holds a comma into quotation marks",
            )
        else:
            seed.rows.append(_row(seed, line, dict(zip(header, values, strict=True))))
    seed.is_whole = not seed.findings
    return seed


def repeated(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[tuple[Row, Row]]:
    """Every row whose values in these columns stood in a row before, with that row."""
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        first = seen.setdefault(tuple(row[column] for column in columns), row)
        if first is not row:
            yield row, first


def _records(text: str, seed: SeedFile) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it starts; a record may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for values in reader:
            yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        seed.blame(line, f"is not CSV: {error}; look at its quotation marks")


def _check_header(
    seed: SeedFile, header: Sequence[str], columns: Sequence[str], more_columns: bool
) -> None:
    missing = [column for column in columns if column not in header]
    unknown = [column for column in header if column not in columns and not more_columns]
    twice = sorted({column for column in header if header.count(column) > 1})
    problems = [
        f"column {', '.join(names)} {what}"
        for names, what in (
            (missing, "is missing"),
            (unknown, "is unknown"),
            (twice, "stands twice"),
        )
        if names
    ]
    if problems and not seed.findings:
        seed.blame(1, f"{'; '.join(problems)}. The columns are {','.join(columns)}")


def _row(seed: SeedFile, line: int, values: dict[str, str]) -> Row:
    kept = {}
    for column, value in values.items():
        bare = value.strip()
        kept[column] = "" if bare.lower() in EMPTY else bare
        if kept[column] and bare != value:
            seed.blame(line, f"{column}: {value!r} has blanks around it; remove them")
    return Row(line, kept)
