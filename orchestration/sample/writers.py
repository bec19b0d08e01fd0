"""Landing files written as a stream: rows go to the file of their period, lines are counted."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from orchestration.sample.dirty import DIRTY_ROWS, DirtyFact, DirtyRow
from orchestration.sample.world import LATE, SOURCES, period_of

FileFormat = Literal["csv", "parquet"]
_BUFFERED_ROWS = 2_000


class LandingFile:
    """One landing file. `line` is the physical line last written (in Parquet: the row)."""

    def __init__(self, path: Path, columns: Sequence[str], dirty: Sequence[DirtyRow]) -> None:
        self.path = path
        self.columns = columns
        self.line = 0
        self.rows = 0
        self._dirty = dirty
        self._buffer: list[Any] = []
        self._parquet: pq.ParquetWriter | None = None
        self._compressed: gzip.GzipFile | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("wb", buffering=1 << 20)
        self._sink: IO[bytes] | gzip.GzipFile = self._file
        if path.name.endswith(".gz"):
            self._compressed = gzip.GzipFile(
                filename="", mode="wb", compresslevel=4, fileobj=self._file, mtime=0
            )
            self._sink = self._compressed
        self._is_json = ".jsonl" in path.name
        self._is_parquet = path.name.endswith(".parquet")
        if not self._is_json and not self._is_parquet:
            self._write_csv([columns])
            self.rows = 0
        self.facts: list[DirtyFact] = []
        self._write_dirty("first")

    def add(self, row: Any) -> None:
        """Append one row: a tuple in column order for CSV, an object for JSON Lines."""
        self._buffer.append(row)
        if len(self._buffer) >= _BUFFERED_ROWS:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Append an Arrow table with this file's columns."""
        self._flush()
        if self._is_parquet:
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._file, table.schema, compression="zstd")
            self._parquet.write_table(table)
        else:
            pa_csv.write_csv(table, self._sink, pa_csv.WriteOptions(include_header=False))
        self.line += table.num_rows
        self.rows += table.num_rows

    def close(self) -> None:
        """Write what is left, then the dirty rows that close the file."""
        self._flush()
        self._write_dirty("last")
        if self._parquet is not None:
            self._parquet.close()
        if self._compressed is not None:
            self._compressed.close()
        self._file.close()

    def _flush(self) -> None:
        rows, self._buffer = self._buffer, []
        if not rows:
            return
        if self._is_json:
            newline = orjson.OPT_APPEND_NEWLINE
            self._write(b"".join(orjson.dumps(row, option=newline) for row in rows), len(rows))
        else:
            self._write_csv(rows)

    def _write_csv(self, rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._write(text.getvalue().encode(), len(rows))

    def _write(self, data: bytes, rows: int) -> None:
        self._sink.write(data)
        self.line += data.count(b"\n")
        self.rows += rows

    def _write_dirty(self, position: str) -> None:
        for dirty in self._dirty:
            if dirty.position != position:
                continue
            self.facts.extend(dirty.facts(self.line + 1))
            if self._is_parquet:
                self.add_table(dirty.table())
            else:
                self._write(dirty.text(self.columns, is_json=self._is_json).encode(), 1)


class Landing:
    """All landing files of one run, opened when the first row for them comes."""

    def __init__(self, root: Path, touchpoint_format: FileFormat = "csv") -> None:
        self._root = root
        self._touchpoint_format = touchpoint_format
        self._files: dict[tuple[str, str, str], LandingFile] = {}

    def add(self, tenant: str, source: str, at: int, row: Any, *, is_late: bool = False) -> None:
        """Append a row to the file of the period of `at`, or to the late file."""
        name = LATE if is_late else period_of(SOURCES[source].period, at)
        self._file(tenant, source, name).add(row)

    def add_mapping(
        self,
        tenant: str,
        source: str,
        at: int,
        row: Mapping[str, Any],
        *,
        is_late: bool = False,
    ) -> None:
        """Append a CSV row given by column name; columns left out are empty."""
        values = tuple(row.get(name) for name in SOURCES[source].columns)
        self.add(tenant, source, at, values, is_late=is_late)

    def add_table(self, tenant: str, source: str, name: str, table: pa.Table) -> None:
        """Append an Arrow table to the file of that name."""
        if table.num_rows:
            self._file(tenant, source, name).add_table(table)

    def close(self) -> None:
        """Close every file, and make those that hold nothing but dirty rows."""
        for dirty in self._applicable_dirty():
            self._file(dirty.tenant_id, dirty.source, dirty.file)
        for file in self._files.values():
            file.close()

    def files(self) -> Iterator[tuple[str, str, LandingFile]]:
        """(tenant, source, file) in a fixed order."""
        for (tenant, source, _), file in sorted(self._files.items()):
            yield tenant, source, file

    def _applicable_dirty(self) -> list[DirtyRow]:
        return [
            dirty
            for dirty in DIRTY_ROWS
            if dirty.source != "touchpoints" or dirty.fits(self._touchpoint_format)
        ]

    def _file(self, tenant: str, source: str, name: str) -> LandingFile:
        key = (tenant, source, name)
        file = self._files.get(key)
        if file is None:
            shape = SOURCES[source]
            is_parquet = source == "touchpoints" and self._touchpoint_format == "parquet"
            suffix = ".parquet" if is_parquet else shape.suffix
            dirty = [
                row
                for row in self._applicable_dirty()
                if (row.tenant_id, row.source, row.file) == key
            ]
            path = self._root / tenant / source / f"{name}{suffix}"
            file = self._files[key] = LandingFile(path, shape.columns, dirty)
        return file
