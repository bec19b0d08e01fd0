"""Landing files of every format, read as batches of text columns with line numbers.

Each reader keeps only a block of the file in memory. Whatever cannot be a row at all comes back
as a rejected row; whatever makes the whole file unreadable raises FileRefused.
"""

from __future__ import annotations

import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from orchestration.ingest.contracts import Contract
from orchestration.ingest.errors import FileRefused
from orchestration.ingest.landing import (
    BLOCK_BYTES,
    UNPACK_FREE_BYTES,
    UNPACK_LIMIT_BYTES,
    UNPACK_RATIO,
)
from orchestration.ingest.validation import LARGEST_EXPONENT, shown

LONGEST_RECORD = 16 * 1024 * 1024
MOST_IGNORED_COLUMNS = 200
PARQUET_ROWS = 32_768
UTF8_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""The longer ones first: the mark of UTF-32 starts like that of UTF-16."""
OTHER_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}


@dataclass(frozen=True)
class RejectedRow:
    """A row that does not fit its contract."""

    line: int
    content: str
    reasons: list[str]


@dataclass
class RowBatch:
    """Some rows of a file: one text array per column of the contract, null for empty."""

    columns: dict[str, pa.Array]
    lines: npt.NDArray[np.int64]
    """Line of each row: where its record starts; for Parquet the number of the row."""
    content: Callable[[int], str]
    """The original text of the row at a position."""
    may_hold_nul: bool
    reasons: dict[int, list[str]] = field(default_factory=dict)
    """What the reader itself found wrong, by position."""
    rejected: list[RejectedRow] = field(default_factory=list)
    """Rows that could not be taken apart into columns."""


@dataclass
class Reading:
    """A file being read: iterate over `batches`, then look at `ignored_columns`."""

    batches: Iterator[RowBatch]
    ignored_columns: list[str]


def read_rows(contract: Contract, form: str, pieces: Iterator[bytes]) -> Reading:
    """Read a CSV or JSON Lines file from its bytes.

    Raises (also while iterating):
        FileRefused: the file is not UTF-8, lacks a required column, or cannot be taken apart.
    """
    ignored: list[str] = []
    reader = _CsvReader(contract, ignored) if form == "csv" else _JsonReader(contract, ignored)
    return Reading(reader.batches(pieces), ignored)


# --- text files in blocks -----------------------------------------------------------------------


class _TextReader(ABC):
    """What CSV and JSON Lines share: whole records per block, UTF-8, line numbers."""

    def __init__(self, contract: Contract, ignored: list[str]) -> None:
        self.contract = contract
        self.ignored = ignored
        self.line = 1
        """Line at which the next block starts."""

    def batches(self, pieces: Iterator[bytes]) -> Iterator[RowBatch]:
        """Read on, block by block."""
        rest = b""
        is_start = True
        for piece in pieces:
            block = rest + piece if rest else piece
            if is_start:
                if len(block) < 4:
                    rest = block
                    continue
                block, is_start = self._without_mark(block), False
            end = self.cut(block, is_last=False)
            if end == 0 and len(block) > LONGEST_RECORD:
                raise FileRefused(
                    f"line {self.line}: a record longer than {LONGEST_RECORD:,} bytes starts "
                    f"here{self.advice}"
                )
            rest = block[end:]
            if end:
                yield from self._read(block[:end])
        if is_start:
            rest = self._without_mark(rest)
        if rest:
            self.cut(rest, is_last=True)
            yield from self._read(rest)

    advice = ""

    @abstractmethod
    def cut(self, block: bytes, *, is_last: bool) -> int:
        """Where the last whole record of the block ends; 0 when none does."""

    def line_ends(self, block: bytes) -> int:
        """How many lines end in the block."""
        return _line_ends(block)

    @abstractmethod
    def rows(self, block: bytes) -> Iterator[RowBatch]:
        """The rows of a block of whole records, whose first line is `self.line`."""

    def _read(self, block: bytes) -> Iterator[RowBatch]:
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = self.line + self.line_ends(block[: error.start])
            column = error.start - block.rfind(b"\n", 0, error.start)
            raise FileRefused(
                f"line {line}, byte {column}: byte 0x{block[error.start]:02x} is not UTF-8; "
                "save the file as UTF-8 and send it again"
            ) from None
        yield from self.rows(block)
        self.line += self.line_ends(block)

    @staticmethod
    def _without_mark(block: bytes) -> bytes:
        for mark, encoding in OTHER_MARKS.items():
            if block.startswith(mark):
                raise FileRefused(
                    f"line 1: the file is {encoding}; save it as UTF-8 and send it again"
                )
        start = block[: min(len(block), 400) // 4 * 4]
        nuls = start.count(0) / len(start) if start else 0
        if 0.3 < nuls < 0.9:
            raise FileRefused(
                f"line 1: the file looks like {'UTF-16' if nuls < 0.6 else 'UTF-32'}; save it as "
                "UTF-8 and send it again"
            )
        return block.removeprefix(UTF8_MARK)


# --- CSV ----------------------------------------------------------------------------------------

FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)("?))?([^,\r\n]*)(,|\r\n|\n|\r|\Z)')


@dataclass(frozen=True)
class _Record:
    values: list[str]
    start: int
    end: int
    line: int
    is_open: bool
    """A quote was opened and never closed."""
    text: str

    @property
    def is_blank(self) -> bool:
        """A line with nothing on it, which is no row."""
        return not self.text


def _records(text: str, line: int) -> Iterator[_Record]:
    """Take CSV text apart, one record at a time: exact, for the blocks that need it."""
    position = 0
    while position < len(text):
        start, first_line, values, is_open = position, line, [], False
        while True:
            found = FIELD.match(text, position)
            assert found is not None
            quoted, closing, plain, end = found.groups()
            values.append((quoted or "").replace('""', '"') + plain)
            is_open = quoted is not None and not closing
            position = found.end()
            if end != ",":
                break
        line += _line_ends(text[start:position])
        yield _Record(
            values, start, position, first_line, is_open, text[start:position].rstrip("\r\n")
        )


def first_record(start: bytes) -> list[str]:
    """The fields of the first record of a CSV file that starts with these bytes."""
    text = start.removeprefix(UTF8_MARK).decode(errors="replace")
    return next((record.values for record in _records(text, 1) if not record.is_blank), [])


class _CsvReader(_TextReader):
    advice = "; is a quote left open?"

    def __init__(self, contract: Contract, ignored: list[str]) -> None:
        super().__init__(contract, ignored)
        self.names = [column.name for column in contract.columns]
        self.header: list[str] | None = None
        self.is_regular = True
        """Whether quotes stand only where they should in the block that was cut last."""

    def cut(self, block: bytes, *, is_last: bool) -> int:
        self.is_regular = _is_regular(block)
        if self.is_regular and not is_last:
            end = block.rfind(b"\n")
            quotes = block.count(b'"', 0, end + 1)
            while end >= 0 and quotes % 2:
                before = block.rfind(b"\n", 0, end)
                quotes -= block.count(b'"', before + 1, end + 1)
                end = before
            return end + 1
        if self.is_regular and block.count(b'"') % 2 == 0:
            return len(block)
        text = block.decode(errors="surrogateescape")
        *_, last = _records(text, self.line)
        if not is_last:
            # The last record may go on in the next block.
            return len(text[: last.start].encode(errors="surrogateescape"))
        if last.is_open:
            raise FileRefused(f"line {last.line}: a quote that opens in this record never closes")
        return len(block)

    def rows(self, block: bytes) -> Iterator[RowBatch]:
        line = self.line
        if self.header is None:
            text = block.decode()
            first = next((record for record in _records(text, line) if not record.is_blank), None)
            if first is None:
                return
            self.header = self._read_header(first.values)
            line += _line_ends(text[: first.end])
            block = text[first.end :].encode()
        if block:
            # pyarrow takes a mark of UTF-8 at the start of any block for that of the file
            is_regular = self.is_regular and not block.startswith(UTF8_MARK)
            batch = self._rows_fast(block, line) if is_regular else None
            yield batch or self._rows_exact(block.decode(), line)

    def _read_header(self, names: list[str]) -> list[str]:
        """The columns as they stand in the file; those that nobody knows are renamed."""
        names = [name.strip() for name in names]
        missing = [
            column.name
            for column in self.contract.columns
            if column.required and column.name not in names
        ]
        separator = self._other_separator(names)
        if separator:
            lacking = f"{_missing(missing)}; " if missing else ""
            raise FileRefused(
                f"line 1: {lacking}the header is separated by {separator}: export it with commas"
            )
        if missing and not set(self.names) & set(names):
            # it may be a row: what it holds is somebody's
            raise FileRefused(
                f"line 1: {_missing(missing)}; it names no column that is known: begin "
                "the file with a header"
            )
        repeated = sorted({name for name in names if name and names.count(name) > 1})
        if repeated:
            raise FileRefused(f"line 1: {_repeated(repeated)} in the header")
        if missing:
            raise FileRefused(
                f"line 1: {_missing(missing)}; the header has {shown(', '.join(names))}"
            )
        ignored = [name for name in names if name not in self.names]
        self.ignored.extend(ignored[:MOST_IGNORED_COLUMNS])
        return [
            name if name in self.names else f"ignored:{position}"
            for position, name in enumerate(names)
        ]

    def _other_separator(self, names: list[str]) -> str | None:
        """What separates the names when it is no comma: then no name is known until split."""
        if any(name in self.names for name in names):
            return None
        for separator, words in OTHER_SEPARATORS.items():
            parts = [part.strip(' "') for name in names for part in name.split(separator)]
            if len(parts) > len(names) and any(part in self.names for part in parts):
                return words
        return None

    def _rows_fast(self, block: bytes, line: int) -> RowBatch | None:
        """Let pyarrow take a regular block apart; None should it see other rows than we do."""
        assert self.header is not None
        starts, ends, lines = _record_bounds(block, line)
        if not len(starts):
            return RowBatch(self._columns({}), lines, lambda row: "", may_hold_nul=False)
        wrong: list[tuple[int, int]] = []

        def reject(row: Any) -> str:
            wrong.append((row.number - 1, row.actual_columns))
            return "skip"

        table = pa.csv.read_csv(
            io.BytesIO(block),
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=len(block) + 1, column_names=self.header
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=reject),
            convert_options=pa.csv.ConvertOptions(
                check_utf8=False,
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=[""],
                include_columns=self.names,
                include_missing_columns=True,
                column_types=dict.fromkeys(self.names, pa.string()),
            ),
        )
        if len(table) + len(wrong) != len(starts):
            return None

        def text(position: int) -> str:
            return block[starts[position] : ends[position]].decode().rstrip("\r\n")

        rejected = [
            RejectedRow(int(lines[row]), text(row), [self._miscounted(fields)])
            for row, fields in wrong
        ]
        rows = np.delete(np.arange(len(starts)), [row for row, _ in wrong])
        return RowBatch(
            self._columns({name: table.column(name).combine_chunks() for name in self.names}),
            lines[rows],
            lambda row: text(int(rows[row])),
            may_hold_nul=b"\x00" in block,
            rejected=rejected,
        )

    def _rows_exact(self, text: str, line: int) -> RowBatch:
        """Take any block apart, record by record."""
        assert self.header is not None
        records: list[_Record] = []
        rejected: list[RejectedRow] = []
        for record in _records(text, line):
            if record.is_blank:
                continue
            if len(record.values) == len(self.header):
                records.append(record)
            else:
                reasons = [self._miscounted(len(record.values))]
                rejected.append(RejectedRow(record.line, record.text, reasons))
        columns = {
            name: pa.array([record.values[at] or None for record in records], pa.string())
            for at, name in enumerate(self.header)
            if name in self.names
        }
        return RowBatch(
            self._columns(columns, len(records)),
            np.array([record.line for record in records], dtype=np.int64),
            lambda row: records[row].text,
            may_hold_nul="\x00" in text,
            rejected=rejected,
        )

    def _columns(self, found: dict[str, pa.Array], rows: int = 0) -> dict[str, pa.Array]:
        """One text array per column of the contract; those that the file lacks are null."""
        return {
            name: found[name].cast(pa.string()) if name in found else pa.nulls(rows, pa.string())
            for name in self.names
        }

    def _miscounted(self, fields: int) -> str:
        return f"{len(self.header or ())} fields expected, {fields} found"


def _missing(names: list[str]) -> str:
    columns, are = ("column", "is") if len(names) == 1 else ("columns", "are")
    return f"required {columns} {', '.join(names)} {are} missing"


def _repeated(names: list[str]) -> str:
    columns, appear = ("column", "appears") if len(names) == 1 else ("columns", "appear")
    return f"{columns} {', '.join(names)} {appear} twice"


def _line_ends(text: Any) -> int:
    """How many lines end in these bytes or this text: by line feed, carriage return or both."""
    feed, back, both = (b"\n", b"\r", b"\r\n") if isinstance(text, bytes) else ("\n", "\r", "\r\n")
    ends: int = text.count(feed)
    if back in text:
        ends += text.count(back) - text.count(both)
    return ends


def _is_regular(block: bytes) -> bool:
    """Whether every quote opens or closes a whole field, and every line ends with a line feed.

    Then, and only then, a line feed behind an even number of quotes ends a record. The block
    starts with a record; its end may be cut anywhere.
    """
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return False
    if b'"' not in block:
        return True
    data = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(data == ord('"'))
    opening = quotes[0::2]
    before = data[opening - 1]
    fits = (before == ord(",")) | (before == ord("\n"))
    fits[1:] |= opening[1:] - 1 == quotes[1::2][: len(opening) - 1]
    fits[0] |= opening[0] == 0
    return bool(fits.all())


Numbers = npt.NDArray[np.int64]


def _record_bounds(block: bytes, line: int) -> tuple[Numbers, Numbers, Numbers]:
    """Start, end and line of every record of a regular block, blank lines left out."""
    data = np.frombuffer(block, dtype=np.uint8)
    feeds = np.flatnonzero(data == ord("\n"))
    if b'"' in block:
        quotes = np.flatnonzero(data == ord('"'))
        record_ends = feeds[np.searchsorted(quotes, feeds) % 2 == 0] + 1
    else:
        record_ends = feeds + 1
    if not len(record_ends) or record_ends[-1] != len(block):
        record_ends = np.append(record_ends, len(block))
    starts = np.concatenate(([0], record_ends[:-1]))
    first = data[starts]
    is_blank = (first == ord("\n")) | ((first == ord("\r")) & (record_ends - starts <= 2))
    starts, ends = starts[~is_blank], record_ends[~is_blank]
    return starts, ends, line + np.searchsorted(feeds, starts)


# --- JSON Lines ---------------------------------------------------------------------------------


def _plain_number(text: str) -> str:
    """A JSON number in plain digits, none lost: 1.5e3 becomes 1500."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) <= LARGEST_EXPONENT:
        return format(number, "f")
    return text


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_WHITESPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(
    parse_float=_plain_number, parse_int=str, parse_constant=_refuse_constant
)


def _raw_values(text: str) -> dict[str, str]:
    """The values of a JSON object as they are written, digit for digit; `text` is sound JSON."""
    values: dict[str, str] = {}
    position = text.index("{") + 1
    while True:
        position = _skip(text, position)
        if text[position] == "}":
            return values
        key, position = _DECODER.raw_decode(text, position)
        position = _skip(text, text.index(":", position) + 1)
        _, end = _DECODER.raw_decode(text, position)
        values[key] = text[position:end]
        position = _skip(text, end)
        if text[position] == "}":
            return values
        position += 1


def _skip(text: str, position: int) -> int:
    found = _WHITESPACE.match(text, position)
    return found.end() if found else position


class _JsonReader(_TextReader):
    def __init__(self, contract: Contract, ignored: list[str]) -> None:
        super().__init__(contract, ignored)
        self.is_json = {column.name: column.data_type == "jsonb" for column in contract.columns}

    def cut(self, block: bytes, *, is_last: bool) -> int:
        return len(block) if is_last else block.rfind(b"\n") + 1

    def line_ends(self, block: bytes) -> int:
        """Line feeds only: to JSON a carriage return is a space."""
        return block.count(b"\n")

    def rows(self, block: bytes) -> Iterator[RowBatch]:
        texts: list[str] = []
        lines: list[int] = []
        rejected: list[RejectedRow] = []
        reasons: dict[int, list[str]] = {}
        values: dict[str, list[str | None]] = {name: [] for name in self.is_json}
        for line, text in enumerate(block.decode().split("\n"), self.line):
            if not text or text.isspace():
                continue
            record, reason = self._record(text)
            if record is None:
                rejected.append(RejectedRow(line, text.rstrip("\r"), [reason]))
                continue
            if reason:
                reasons[len(texts)] = [reason]
            texts.append(text)
            lines.append(line)
            for name, column in values.items():
                column.append(record.get(name) or None)
        columns = {name: _text_array(name, column, reasons) for name, column in values.items()}
        yield RowBatch(
            columns,
            np.array(lines, dtype=np.int64),
            lambda row: texts[row].rstrip("\r"),
            may_hold_nul=b"\x00" in block or b"\\u0000" in block,
            reasons=reasons,
            rejected=rejected,
        )

    def _record(self, text: str) -> tuple[dict[str, str | None] | None, str]:
        """The values of a line as text, and what is wrong with it."""
        try:
            found = _DECODER.decode(text)
        except RecursionError:
            return None, "nested too deeply"
        except json.JSONDecodeError as error:
            return None, f"not JSON from character {error.pos + 1} on ({error.msg})"
        except ValueError as error:
            return None, str(error)
        if not isinstance(found, dict):
            return None, f"{shown(text)} is not a JSON object"
        record: dict[str, str | None] = {}
        reason = ""
        raw: dict[str, str] | None = None
        for name, value in found.items():
            if name not in self.is_json:
                self._ignore(name)
            elif value is None or isinstance(value, str):
                record[name] = value
            elif isinstance(value, bool):
                record[name] = "true" if value else "false"
            else:
                raw = raw or _raw_values(text)
                record[name] = raw[name]
                if not self.is_json[name]:
                    kind = "list" if isinstance(value, list) else "object"
                    reason = reason or f"{name}: a JSON {kind} is no single value"
        return record, reason

    def _ignore(self, name: str) -> None:
        if name not in self.ignored and len(self.ignored) < MOST_IGNORED_COLUMNS:
            self.ignored.append(name)


def _text_array(name: str, values: list[str | None], reasons: dict[int, list[str]]) -> pa.Array:
    """A text array; halves of surrogate pairs, which no text can hold, become a reason."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        sound: list[str | None] = []
        for row, value in enumerate(values):
            text = value.encode(errors="replace").decode() if value is not None else None
            if text != value:
                reasons.setdefault(row, []).append(
                    f"{name}: {shown(value or '')} holds half of a surrogate pair"
                )
            sound.append(text)
        return pa.array(sound, pa.string())


# --- Parquet ------------------------------------------------------------------------------------


def read_parquet(contract: Contract, file: IO[bytes], size: int) -> Reading:
    """Read a Parquet file; its typed columns become the text that the validation understands.

    Raises (also while iterating):
        FileRefused: it is no Parquet file, lacks a required column, or a column holds lists or
            objects where its contract wants single values.
    """
    try:
        opened = pa.parquet.ParquetFile(file, pre_buffer=False, buffer_size=BLOCK_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise FileRefused(f"not a Parquet file: {_first_line(error)}") from error
    names = opened.schema_arrow.names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FileRefused(_repeated(repeated))
    missing = [
        column.name for column in contract.columns if column.required and column.name not in names
    ]
    if missing:
        raise FileRefused(f"{_missing(missing)}; the file has {shown(', '.join(names))}")
    for column in contract.columns:
        if column.name in names and column.data_type != "jsonb":
            arrow_type = opened.schema_arrow.field(column.name).type
            if pa.types.is_nested(arrow_type):
                raise FileRefused(
                    f"column {column.name} holds {arrow_type}; its contract says {column.data_type}"
                )
    unpacked = sum(
        opened.metadata.row_group(group).total_byte_size
        for group in range(opened.metadata.num_row_groups)
    )
    if unpacked > UNPACK_LIMIT_BYTES or (
        unpacked > UNPACK_FREE_BYTES and unpacked > UNPACK_RATIO * size
    ):
        raise FileRefused(
            f"a zip bomb: {size:,} bytes unpack to {unpacked:,}; send it uncompressed if it is "
            "genuine"
        )
    known = [column.name for column in contract.columns]
    ignored = [name for name in names if name not in known][:MOST_IGNORED_COLUMNS]
    return Reading(_parquet_batches(contract, opened, [n for n in known if n in names]), ignored)


def _parquet_batches(
    contract: Contract, opened: pa.parquet.ParquetFile, names: list[str]
) -> Iterator[RowBatch]:
    first = 1
    try:
        for batch in opened.iter_batches(PARQUET_ROWS, columns=names, use_threads=False):
            batch.validate(full=True)
            columns = {
                column.name: _as_text(batch.column(column.name))
                if column.name in names
                else pa.nulls(len(batch), pa.string())
                for column in contract.columns
            }
            yield RowBatch(
                columns,
                np.arange(first, first + len(batch), dtype=np.int64),
                _parquet_content(batch),
                may_hold_nul=True,
            )
            first += len(batch)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FileRefused(
            f"damaged after row {first - 1}: {_first_line(error)}; send it again"
        ) from error


def _parquet_content(batch: pa.RecordBatch) -> Callable[[int], str]:
    def content(row: int) -> str:
        return json.dumps(batch.slice(row, 1).to_pylist()[0], default=str, ensure_ascii=False)

    return content


def _as_text(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_text(values.cast(kind.value_type))
    if pa.types.is_nested(kind):
        return pa.array(
            [
                None
                if value is None
                else json.dumps(value, default=_json_default, ensure_ascii=False)
                for value in values.to_pylist()
            ],
            pa.string(),
        )
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = values.cast(pa.timestamp(kind.unit, "UTC"))
    text = values.cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.array(
            [
                _plain_number(value) if value is not None and "e" in value.lower() else value
                for value in text.to_pylist()
            ],
            pa.string(),
        )
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _json_default(value: object) -> Any:
    """What JSON has no notation for: decimals as numbers, everything else as text."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
