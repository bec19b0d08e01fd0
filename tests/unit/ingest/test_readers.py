"""Files of every format taken apart: same rows, right lines, whatever the block size."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.ingest.contracts import Column, Contract
from orchestration.ingest.errors import FileRefused
from orchestration.ingest.readers import read_rows

CONTRACT = Contract(
    "things",
    "",
    (Column("id", "text"), Column("note", "text"), Column("value", "text")),
    key=("id",),
    key_required=False,
)
HEADER = b"id,note,value\n"
LOOSE = Contract(
    "things",
    "",
    (Column("id", "text"), Column("note", "text"), Column("data", "jsonb")),
    key=("id",),
    key_required=False,
)
MANY = settings(max_examples=20_000 if os.environ.get("JOURNEY_LONG") == "1" else 50)
"""Reading needs no database, so that it can be tried with more inputs than the other properties."""
Row = tuple[int, list[str | None]]


def read(
    data: bytes, form: str = "csv", piece: int = 1 << 20, contract: Contract = CONTRACT
) -> tuple[list[Row], list[tuple[int, str, list[str]]]]:
    """Rows with their lines, and rejected rows, in file order."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    rows: list[Row] = []
    rejected: list[tuple[int, str, list[str]]] = []
    for batch in read_rows(contract, form, pieces()).batches:
        columns = [batch.columns[column.name].to_pylist() for column in contract.columns]
        assert all(len(column) == len(batch.lines) for column in columns)
        rows += list(zip(batch.lines.tolist(), map(list, zip(*columns, strict=True)), strict=True))
        rejected += [(row.line, row.content, row.reasons) for row in batch.rejected]
        rejected += [
            (int(batch.lines[row]), batch.content(row), reasons)
            for row, reasons in batch.reasons.items()
        ]
    return rows, sorted(rejected)


def test_lines_count_quoted_line_ends_and_blank_lines() -> None:
    """Prevents a reject that points to the wrong line of the sender's file."""
    data = HEADER + b'1,"a\nb",x\n\n2,c,"d""e"\r\n3,f\n4,,\n5,"g",h'
    rows, rejected = read(data)
    assert rows == [
        (2, ["1", "a\nb", "x"]),
        (5, ["2", "c", 'd"e']),
        (7, ["4", None, None]),
        (8, ["5", "g", "h"]),
    ]
    assert rejected == [(6, "3,f", ["3 fields expected, 2 found"])]


def test_a_quote_in_the_middle_of_a_field_is_a_character() -> None:
    """Prevents one inch sign from swallowing the lines that follow it."""
    data = HEADER + b'1,5" pipe,x\n2,"ok"y,z\n3,"a\nb",c\n'
    for piece in (1, 7, 1 << 20):
        rows, rejected = read(data, piece=piece)
        assert rows == [
            (2, ["1", '5" pipe', "x"]),
            (3, ["2", "oky", "z"]),
            (4, ["3", "a\nb", "c"]),
        ]
        assert rejected == []


def test_old_line_ends_and_byte_order_mark() -> None:
    """Prevents a spreadsheet's line ends or mark from hiding the first column or the rows."""
    rows, _ = read(b"\xef\xbb\xbfid,note,value\r1,a,b\r2,c,d")
    assert rows == [(2, ["1", "a", "b"]), (3, ["2", "c", "d"])]
    rows, _ = read(b"\xef\xbb\xbf" + HEADER + b"1,a,b\r\n")
    assert rows == [(2, ["1", "a", "b"])]


def test_a_byte_order_mark_further_down_is_a_character() -> None:
    """Prevents files that were put together from losing it, or from stopping the load of all, where
    a block happens to begin with it."""
    for piece in (1, 1 << 20):
        rows, rejected = read(HEADER + b"\xef\xbb\xbf1,a,b\n\xef\xbb\xbf\n", piece=piece)
        assert rows == [(2, ["\ufeff1", "a", "b"])]
        assert rejected == [(3, "\ufeff", ["3 fields expected, 1 found"])]


def test_columns_in_any_order_missing_or_unknown() -> None:
    """Prevents values from landing in the wrong column."""
    rows, _ = read(b"extra,value, id \nx,v,1\n")
    assert rows == [(2, ["1", None, "v"])]


def test_nothing_is_no_row() -> None:
    """Prevents an empty export from counting as a row or as a failure."""
    for data in (b"", b"\n\n", b"id", HEADER, HEADER + b"\n\r\n"):
        assert read(data) == ([], [])
    assert read(b"", "jsonl") == read(b"\n \n", "jsonl") == ([], [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (HEADER + b"1,caf\xe9,x\n", "line 2, byte 6: byte 0xe9 is not UTF-8"),
        ("id,note,value\n1,a,b\n".encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
        ("id,note,value\n1,a,b\n".encode("utf-32"), "the file is UTF-32; save it as UTF-8"),
        ("id,note,value\n".encode("utf-32-be"), "the file looks like UTF-32; save it as UTF-8"),
        ("id,note,value\n".encode("utf-16-le"), "the file looks like UTF-16; save it as UTF-8"),
        ("id,note,value\n".encode("utf-16-be"), "the file looks like UTF-16; save it as UTF-8"),
        (b"id;note;value\n1;a;b\n", "line 1: the header is separated by ';': export it with"),
        (b'"id"\t"note"\n', "line 1: the header is separated by tabs: export it with commas"),
        (HEADER + b'1,a,b\n2,"open,c\n3,d,e\n', "line 3: a quote that opens"),
        (b"id,note,note\n", "line 1: column note appears twice in the header"),
        (b"id,note,note,id\n", "line 1: columns id, note appear twice in the header"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_place(data: bytes, words: str) -> None:
    """Prevents half of a broken file from being loaded as if it were whole."""
    for piece in (5, 1 << 20):
        with pytest.raises(FileRefused, match=words):
            read(data, piece=piece)


NO_HEADER = "it names no column that is known: begin the file with a header"
STRICT = Contract(
    "things",
    "",
    (Column("id", "text", required=True), Column("at", "timestamptz", required=True)),
    key=("id",),
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"at\n", "line 1: required column id is missing; the header has 'at'"),
        (b"x\n", f"line 1: required columns id, at are missing; {NO_HEADER}"),
        (b"ada@example.com,0172\n", f"line 1: required columns id, at are missing; {NO_HEADER}"),
        (
            b"id;at\n1;2\n",
            "line 1: required columns id, at are missing; the header is separated by ';': "
            "export it with commas",
        ),
        (b"at,a;id\n", "line 1: required column id is missing; the header has 'at, a;id'"),
        (b"x;y\n", f"line 1: required columns id, at are missing; {NO_HEADER}"),
    ],
)
def test_a_header_that_lacks_columns_says_why(data: bytes, words: str) -> None:
    """Prevents a sender from looking for columns that are there, but split by something else, and
    a first row of somebody's that is told as if it were a header."""
    with pytest.raises(FileRefused) as caught:
        list(read_rows(STRICT, "csv", iter([data])).batches)
    assert str(caught.value) == words


def test_an_endless_record_is_refused_in_constant_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a gigabyte without a line end from filling the memory."""
    monkeypatch.setattr("orchestration.ingest.readers.LONGEST_RECORD", 1000)
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        yield b'{"id": "'
        while True:
            taken += 1
            yield b"x" * 100

    with pytest.raises(FileRefused, match="line 1: a record longer than 1,000 bytes"):
        list(read_rows(CONTRACT, "jsonl", pieces()).batches)
    assert taken < 20
    with pytest.raises(FileRefused, match=r"line 2: .* is a quote left open\?"):
        read(HEADER + b'1,"' + b"y" * 2000, piece=100)


def test_a_carriage_return_ends_no_line_of_json() -> None:
    """Prevents a reject that points to another line when the file comes in other blocks."""
    for piece in (1, 1 << 20):
        rows, rejected = read(b'{"id":\r"1"}\n[]\n{"id":"2"}\n', "jsonl", piece)
        assert rows == [(1, ["1", None, None]), (3, ["2", None, None])]
        assert [line for line, *_ in rejected] == [2]


def test_json_lines_keep_every_digit() -> None:
    """Prevents ids and amounts from passing through floating point."""
    data = (
        b'{"id": 12345678901234567890, "note": 0.10, "value": 1.5E3}\n'
        b'{"id": true, "note": null, "value": ""}\r\n'
        b'{"id": "1", "note": "a\\nb", "more": {"x": 1}}\n'
    )
    rows, rejected = read(data, "jsonl")
    assert rows == [
        (1, ["12345678901234567890", "0.10", "1500"]),
        (2, ["true", None, None]),
        (3, ["1", "a\nb", None]),
    ]
    assert rejected == []


def test_json_lines_nested_values_are_kept_as_written() -> None:
    """Prevents nested amounts from losing digits on their way into jsonb."""
    contract = Contract("things", "", (Column("id", "text"), Column("data", "jsonb")), key=("id",))
    line = b'{"a":{},"id":"1", "data" : {"id":[1.10, 1e2], "data":"}"} , "z":[]}\n'
    (batch,) = read_rows(contract, "jsonl", iter([line])).batches
    assert batch.columns["data"].to_pylist() == ['{"id":[1.10, 1e2], "data":"}"}']


def test_json_lines_reject_what_is_no_object() -> None:
    """Prevents one broken line from costing the whole file."""
    data = (
        b'{"id": "1"}\n[1]\n\n{"id": \n{"id": NaN}\n{"id": "\\ud800"}\n{"id": {"x": 1}}\n'
        + b"[" * 5000
        + b'\n{"id": "2"}'
    )
    rows, rejected = read(data, "jsonl")
    assert [line for line, _ in rows] == [1, 6, 7, 9]
    assert [(line, reasons[0][:22]) for line, _, reasons in rejected] == [
        (2, "'[1]' is not a JSON ob"),
        (4, "not JSON from characte"),
        (5, "NaN is not JSON"),
        (6, "id: '\\ud800' holds hal"),
        (7, "id: a JSON object is n"),
        (8, "nested too deeply"),
    ]


def read_or_refuse(data: bytes, form: str, piece: int) -> object:
    """What was read, or that the file was refused; anything else that is raised is a fault."""
    try:
        return read(data, form, piece)
    except FileRefused:
        return "refused"


FIELD = st.text(alphabet='ab",\n\r é\x00', max_size=6)
SIGNS = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"a", b'""', b"\r\n"]), max_size=60)
BYTES = st.lists(
    st.one_of(
        st.sampled_from([b'"', b",", b"\n", b"\r", b"{", b"}", b'"id":', b"\xef\xbb\xbf", b"\x1a"]),
        st.binary(max_size=3),
        st.text(min_size=1, max_size=3).map(str.encode),
    ),
    max_size=40,
).map(lambda parts: b"".join(parts).replace(b"\x00", b"\x01"))
"""Without NUL: the guess that a file is UTF-16 counts those of its first block, and none in life is
as small as these."""
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
JSON_SIGNS = st.lists(
    st.sampled_from(
        [b'{"id":', b'"a"', b"}", b"{", b"[", b"]", b",", b'"note":', b'"x":', b"1", b"-0.10",
         b"1e999", b"NaN", b"null", b"true", b"\n", b"\r\n", b" ", b"\t", b"\\", b'"', b'"\\ud800"',
         "é\u2028".encode(), b'{"id":"1"}\n', b'{"id":[{}]}\n']
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.long
@MANY
@given(
    st.lists(st.lists(FIELD, min_size=3, max_size=3), min_size=1, max_size=12),
    st.integers(1, 40),
)
def test_what_a_csv_writer_writes_comes_back(table: list[list[str]], piece: int) -> None:
    """Prevents block ends, quotes and line ends inside fields from moving or losing a value."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    rows, rejected = read(HEADER + written.getvalue().encode(), piece=piece)
    assert [values for _, values in rows] == [[field or None for field in row] for row in table]
    assert rejected == []


@pytest.mark.long
@MANY
@given(SIGNS, st.integers(1, 30))
def test_any_signs_read_the_same_in_any_pieces(signs: list[bytes], piece: int) -> None:
    """Prevents the fast and the exact way of reading from disagreeing about odd quotes."""
    data = HEADER + b"".join(signs)
    try:
        whole = read(data)
    except FileRefused:
        with pytest.raises(FileRefused, match="never closes"):
            read(data, piece=piece)
        return
    assert read(data, piece=piece) == whole
    lines = [line for line, _ in whole[0]] + [line for line, *_ in whole[1]]
    assert len(set(lines)) == len(lines)


@pytest.mark.long
@MANY
@given(BYTES, st.sampled_from(["csv", "jsonl"]), st.booleans(), st.integers(1, 30))
def test_any_bytes_are_read_or_refused(
    data: bytes, form: str, has_header: bool, piece: int
) -> None:
    """Prevents a file of whatever bytes from crashing the load of all the others, or from being
    read by one size of blocks and refused by another."""
    data = HEADER + data if has_header and form == "csv" else data
    assert read_or_refuse(data, form, piece) == read_or_refuse(data, form, 1 << 20)


@pytest.mark.long
@MANY
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={"id": ANY_TEXT | NUMBER, "note": ANY_TEXT, "data": ANY_JSON, "x": ANY_JSON},
        ),
        max_size=5,
    ),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.integers(1, 40),
)
def test_what_a_json_writer_writes_comes_back(
    records: list[dict[str, Any]], is_escaped: bool, line_end: str, piece: int
) -> None:
    """Prevents block ends, escapes and nesting from moving a value or changing a digit of it."""
    written = [json.dumps(record, ensure_ascii=is_escaped) + line_end for record in records]
    rows, rejected = read("".join(written).encode(), "jsonl", piece, LOOSE)
    assert rejected == []
    assert len(rows) == len(records)
    for (_, (key, note, data)), record in zip(rows, records, strict=True):
        same_value(key, record.get("id"))
        assert note == (record.get("note") or None)
        same_value(data, record.get("data"))


def same_value(read_as: str | None, written: object) -> None:
    """Require that the text of a column stands for what JSON said."""
    if written is None or written == "":
        assert read_as is None
    elif isinstance(written, str):
        assert read_as == written
    elif isinstance(written, bool | dict | list):
        assert read_as is not None
        assert json.loads(read_as) == written
    else:
        assert read_as is not None
        assert Decimal(read_as) == Decimal(repr(written))


@pytest.mark.long
@MANY
@given(JSON_SIGNS, st.integers(1, 30))
def test_any_line_of_json_is_one_row_or_one_rejection(signs: list[bytes], piece: int) -> None:
    """Prevents a line that is lost, taken twice, or taken although it is no JSON object."""
    data = b"".join(signs)
    rows, rejected = read(data, "jsonl")
    assert read(data, "jsonl", piece) == (rows, rejected)
    sound: set[int] = set()
    broken: set[int] = set()
    for number, line in enumerate(data.decode().split("\n"), 1):
        if line.strip():
            (sound if is_json_object(line) else broken).add(number)
    read_lines = [line for line, _ in rows]
    assert sorted(read_lines) == sorted(sound)
    assert broken <= {line for line, *_ in rejected} <= broken | sound


def is_json_object(text: str) -> bool:
    """Whether Python's own reader takes it for an object, without its constants beyond JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        return isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        return False
