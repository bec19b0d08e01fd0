"""Landing files into raw tables: what is kept, what is current, and that every row is counted."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from orchestration.ingest.contracts import Column, Contract, ensure_raw_tables
from orchestration.ingest.errors import ContractError
from orchestration.ingest.load import FileResult, LoadReport, load_landing
from orchestration.ingest.tenants import Tenant
from orchestration.ingest.validation import BIGINT, NUMERIC, TIMESTAMP, fault
from orchestration.settings import Settings

THINGS = Contract(
    "things",
    "",
    (
        Column("id", "text", required=True),
        Column("note", "text"),
        Column("amount", "numeric"),
        Column("data", "jsonb"),
        Column("phone", "text"),
        Column("updated_at", "timestamptz"),
    ),
    key=("id",),
    version="updated_at",
    phones=("phone", "data ->> 'phone'"),
)
VISITS = Contract(
    "visits",
    "",
    (Column("id", "text"), Column("page", "text", required=True)),
    key=("id",),
    key_required=False,
)
MEMBERS = Contract(
    "members",
    "",
    (
        Column("segment", "text", required=True),
        Column("email", "text"),
        Column("added_at", "timestamptz"),
        Column("removed_at", "timestamptz"),
    ),
    key=("segment", "email", "added_at"),
)
CONTRACTS = {contract.source: contract for contract in (THINGS, VISITS, MEMBERS)}
TENANTS = {
    "acme": Tenant("acme", "Acme", "Europe/Berlin", "EUR", "DE"),
    "zeta": Tenant("zeta", "Zeta", "Africa/Accra", "GHS", "GH"),
}
Load = Callable[[], LoadReport]
Put = Callable[[str, str | bytes], Path]


@pytest.fixture
def put(settings: Settings) -> Put:
    """Writes a file into the landing zone."""

    def write(path: str, content: str | bytes) -> Path:
        file = Path(settings.landing, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


@pytest.fixture
def load(database: sqlalchemy.Engine, settings: Settings) -> Load:
    """Loads the landing zone, and checks that every row of every file is accounted for."""

    def run() -> LoadReport:
        report = load_landing(database, settings, contracts=CONTRACTS, tenants=TENANTS)
        for result in report.with_status("loaded"):
            assert (
                result.rows_read
                == result.rows_loaded + result.rows_unchanged + result.rows_rejected
            )
        stored = query(
            database,
            "select rows_loaded, rows_rejected, (select count(*) from raw.rejected_rows"
            " where rejected_rows.load_id = loads.load_id) from ops.loads",
        )
        assert all(rejected == kept for _, rejected, kept in stored)
        rows = sum(
            query(database, f"select count(*) from raw.{source}")[0][0] for source in CONTRACTS
        )
        assert rows == sum(loaded for loaded, *_ in stored)
        return report

    return run


def query(database: sqlalchemy.Engine, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def counts(result: FileResult) -> tuple[int, int, int]:
    return result.rows_loaded, result.rows_unchanged, result.rows_rejected


def test_a_file_is_loaded_once(put: Put, load: Load, database: sqlalchemy.Engine) -> None:
    """Prevents the second run of a schedule, or a copy of a file, from doubling its rows."""
    put("acme/things/a.csv", "id,note\n1,x\n2,y\n")
    assert [counts(result) for result in load().files] == [(2, 0, 0)]
    put("acme/things/deep/copy.csv", "id,note\n1,x\n2,y\n")
    put("zeta/things/a.csv", "id,note\n1,x\n2,y\n")
    again = load()
    assert [(result.file, result.status) for result in again.files] == [
        ("acme/things/a.csv", "already_loaded"),
        ("acme/things/deep/copy.csv", "already_loaded"),
        ("zeta/things/a.csv", "loaded"),
    ]
    assert query(database, "select tenant_id, id, note, _line, _is_current from raw.things"
                           " order by tenant_id, id") == [
        ("acme", "1", "x", 2, True),
        ("acme", "2", "y", 3, True),
        ("zeta", "1", "x", 2, True),
        ("zeta", "2", "y", 3, True),
    ]  # fmt: skip


def test_a_newer_version_replaces_an_older_one_never_the_reverse(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents a late file from undoing what a newer one already said."""
    put("acme/things/1.csv", "id,note,updated_at\na,first,2026-01-02\nb,keep,2026-01-02\n")
    load()
    put(
        "acme/things/2.csv",
        "id,note,updated_at\na,second,2026-01-03\na,late,2026-01-01\nb,keep,2026-01-02T00:00:00Z\n",
    )
    report = load()
    assert counts(report.files[1]) == (2, 1, 0)
    put("acme/things/3.csv", "id,note,updated_at\na,same time,2026-01-03\na,no time,\n")
    assert counts(load().files[2]) == (2, 0, 0)
    assert query(
        database,
        "select id, note, _load_id, _first_load_id, _replaced_by_load_id, _is_current"
        " from raw.things order by id, updated_at nulls first, _load_id",
    ) == [
        ("a", "no time", 3, 1, 3, False),
        ("a", "late", 2, 1, 2, False),
        ("a", "first", 1, None, 2, False),
        ("a", "second", 2, 1, 3, False),
        ("a", "same time", 3, 1, None, True),
        ("b", "keep", 1, None, None, True),
    ]


def test_an_export_of_all_versions_adds_none_twice(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents a log that is sent whole each day from growing the table by itself each day."""
    log = "id,note,updated_at\na,one,2026-01-01\na,other,2026-01-01\na,two,2026-01-02\n"
    put("acme/things/1.csv", log)
    put("acme/things/2.csv", f"{log}a,three,2026-01-03\n")
    put("acme/things/3.csv", f"{log}a,three,2026-01-03\nb,one,2026-01-01\n")
    assert [counts(result) for result in load().files] == [(3, 0, 0), (1, 3, 0), (1, 4, 0)]
    assert query(database, "select note from raw.things where _is_current order by id") == [
        ("three",),
        ("one",),
    ]


def test_versions_inside_one_file(put: Put, load: Load, database: sqlalchemy.Engine) -> None:
    """Prevents the order of lines from deciding where the source's own time should."""
    put(
        "acme/things/1.csv",
        "id,note,updated_at\n"
        "a,two,2026-01-02\na,one,2026-01-01\na,two,2026-01-02\na,three,2026-01-03\n"
        "b,once,\nb,once,\nb,twice,\n",
    )
    assert counts(load().files[0]) == (5, 2, 0)
    assert query(
        database, "select id, note, _line, _is_current from raw.things order by id, _line"
    ) == [
        ("a", "two", 2, False),
        ("a", "one", 3, False),
        ("a", "three", 5, True),
        ("b", "once", 6, False),
        ("b", "twice", 8, True),
    ]


def test_a_record_may_go_back_to_what_it_said_before(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents the third state of a record without versions from being taken for the first."""
    put("acme/members/1.csv", "segment,email,added_at,removed_at\nvip,,2026-01-01,\n")
    put("acme/members/2.csv", "segment,email,added_at,removed_at\nvip,,2026-01-01,2026-02-01\n")
    put("acme/members/3.csv", "segment,removed_at,email,added_at\nvip,,,2026-01-01\n")
    put("acme/members/4.csv", "segment,email,added_at\nvip,,2026-01-01\nvip,x@y.z,2026-01-01\n")
    assert [counts(result) for result in load().files] == [
        (1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1, 0),
    ]  # fmt: skip
    assert query(
        database, "select email, removed_at, _load_id from raw.members where _is_current order by 3"
    ) == [(None, None, 3), ("x@y.z", None, 4)]


VERSIONS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["", "2026-01-01", "2026-01-02", "2026-01-03"]),
            st.sampled_from("xyz"),
        ),
        min_size=1,
        max_size=9,
    ),
    min_size=1,
    max_size=3,
)


def plainly(files: list[list[tuple[str, str, str]]]) -> tuple[int, dict[str, tuple[str, str]]]:
    """How many versions are kept, and which is current, one record and one row at a time."""
    kept = 0
    current: dict[str, tuple[str, str]] = {}
    replaced: set[tuple[str, tuple[str, str]]] = set()
    for rows in files:
        before, known_before = dict(current), set(replaced)
        for key in {key for key, *_ in rows}:
            versions = sorted((row[1:] for row in rows if row[0] == key), key=lambda row: row[0])
            last_late = None
            for version in versions:
                if key in before and version[0] < before[key][0]:
                    if version != last_late and (key, version) not in known_before:
                        kept += 1
                        replaced.add((key, version))
                    last_late = version
                elif version != current.get(key):
                    kept += 1
                    if key in current:
                        replaced.add((key, current[key]))
                    current[key] = version
    return kept, current


@pytest.mark.long
def test_any_versions_in_any_pieces(
    put: Put, load: Load, database: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents the place where a file is cut into pieces from deciding what is current."""
    number = 0

    @given(VERSIONS, st.sampled_from([30, 60, 4096]), st.sampled_from([1, 100]))
    def any_versions(
        files: list[list[tuple[str, str, str]]], block_bytes: int, patience: int
    ) -> None:
        nonlocal number
        monkeypatch.setattr("orchestration.ingest.landing.BLOCK_BYTES", block_bytes)
        monkeypatch.setattr("orchestration.ingest.merge.PATIENCE", patience)
        with database.begin() as connection:
            connection.exec_driver_sql("create table if not exists raw.things ()")
            connection.exec_driver_sql("drop table raw.things; delete from ops.loads")
        written = []
        for rows in files:
            number += 1
            lines = "".join(f"{key},{version},{note}\n" for key, version, note in rows)
            # Blank lines at the end keep files that say the same apart.
            text = f"id,updated_at,note\n{lines}" + "\n" * number
            written.append(put(f"acme/things/{number:05d}.csv", text))
        load()
        for file in written:
            file.unlink()
        kept, current = plainly(files)
        stored = query(
            database,
            "select id, coalesce(to_char(updated_at, 'YYYY-MM-DD'), ''), note, _is_current"
            " from raw.things",
        )
        assert {key: (at, note) for key, at, note, is_current in stored if is_current} == current
        assert sum(is_current for *_, is_current in stored) == len(current)
        assert len(stored) == kept

    any_versions()


def test_rows_without_an_id_are_kept_repeats_included(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents two equal page views without ids from being taken for one."""
    put("acme/visits/1.csv", "id,page\n,home\n,home\nv1,home\nv1,home\n")
    put("acme/visits/2.csv", "id,page\n,home\nv1,home\n")
    assert [counts(result) for result in load().files] == [(3, 1, 0), (1, 1, 0)]
    assert query(database, "select id, _is_current, count(*) from raw.visits group by 1, 2"
                           " order by 1") == [("v1", True, 1), (None, True, 3)]  # fmt: skip


def test_rejects_keep_line_text_and_every_reason_and_can_be_sent_again(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents a bad row from costing its file, from vanishing, or from being lost for good."""
    put(
        "acme/things/1.csv",
        'id,note,amount,updated_at\n1,"two\nlines",1,\n,"a\nb",abc,nope\n3,short\n4,nul\x00,1,\n',
    )
    assert counts(load().files[0]) == (1, 0, 3)
    assert query(
        database, "select line, content, reasons from raw.rejected_rows order by line"
    ) == [
        (
            4,
            ',"a\nb",abc,nope',
            [
                "id: required, but empty",
                "amount: 'abc' is not a number",
                "updated_at: 'nope' is not a date and time like 2026-01-31T09:30:00Z",
            ],
        ),
        (6, "3,short", ["4 fields expected, 2 found"]),
        (7, "4,nul\u2400,1,", ["note: 'nul\\x00' holds a NUL character"]),
    ]
    put("acme/things/2.csv", "id,amount\n2,12.50\n3,1\n4,1\n")
    assert counts(load().files[1]) == (3, 0, 0)


def test_every_format_loads_the_same_rows(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents the format of a file from changing what it says."""
    csv = (
        'id,note,amount,data,updated_at\n1,"a ""b""",1.50,"{""x"": [1.10]}",2026-01-01 00:00:00Z\n'
    )
    jsonl = (
        '{"id": 1, "note": "a \\"b\\"", "amount": 1.50, "data": {"x": [1.10]},'
        ' "updated_at": "2026-01-01T01:00:00+01:00", "unknown": 1}\n'
    )
    parquet = io.BytesIO()
    pq.write_table(
        pa.table(
            {
                "id": pa.array([1]),
                "note": pa.array(['a "b"']).dictionary_encode(),
                "amount": pa.array([1.5]),
                "data": pa.array([{"x": [1.10]}]),
                "updated_at": pa.array([1767225600000], pa.timestamp("ms")),
            }
        ),
        parquet,
    )
    put("acme/things/1.csv", csv)
    put("acme/things/2.csv.gz", gzip.compress((csv + "2,,,,\n").encode()))
    put("acme/things/3.jsonl", jsonl)
    put("acme/things/4.jsonl.gz", gzip.compress(jsonl.encode()) + gzip.compress(b'{"id": "3"}'))
    put("acme/things/5.parquet", parquet.getvalue())
    assert [counts(result) for result in load().files] == [
        (1, 0, 0), (1, 1, 0), (0, 1, 0), (1, 1, 0), (0, 1, 0),
    ]  # fmt: skip
    assert query(
        database,
        "select note, amount::text, data::text, updated_at::text from raw.things where id = '1'",
    ) == [('a "b"', "1.50", '{"x": [1.10]}', "2026-01-01 00:00:00+00")]
    assert query(database, "select distinct ignored_columns from ops.loads order by 1") == [
        ([],),
        (["unknown"],),
    ]


def test_parquet_rows_are_validated_too(put: Put, load: Load, database: sqlalchemy.Engine) -> None:
    """Prevents typed files from slipping past the contract."""
    file = io.BytesIO()
    pq.write_table(
        pa.table(
            {
                "id": pa.array(["1", None, "3", "4"]),
                "amount": pa.array([1e-7, 2.0, float("nan"), 1e12]),
                "data": pa.array(["{}", "{", None, ""]),
            }
        ),
        file,
    )
    put("acme/things/1.parquet", file.getvalue())
    assert counts(load().files[0]) == (1, 0, 3)
    assert query(database, "select amount::text from raw.things") == [("0.0000001",)]
    rejected = query(database, "select line, content, reasons from raw.rejected_rows order by line")
    assert [line for line, *_ in rejected] == [2, 3, 4]
    assert json.loads(rejected[0][1]) == {"id": None, "amount": 2.0, "data": "{"}
    assert rejected[0][2] == ["id: required, but empty", "data: '{' is not JSON"]


def test_phones_are_derived_with_the_tenants_region(
    put: Put, load: Load, database: sqlalchemy.Engine, settings: Settings
) -> None:
    """Prevents a local number from being read with another country's rules."""
    rows = 'id,phone,data\n1,024 412 3456,\n2,+49 30 901820,"{""phone"": ""030 901820""}"\n3,12,\n'
    put("acme/things/1.csv", rows)
    put("zeta/things/1.csv", rows)
    load()
    derived = "select tenant_id, phone, region, e164 from raw.phone_numbers order by 1, 2"
    assert query(database, derived) == [
        ("acme", "+49 30 901820", "DE", "+4930901820"),
        ("acme", "024 412 3456", "DE", "+49244123456"),
        ("acme", "030 901820", "DE", "+4930901820"),
        ("acme", "12", "DE", None),
        ("zeta", "+49 30 901820", "GH", "+4930901820"),
        ("zeta", "024 412 3456", "GH", "+233244123456"),
        ("zeta", "030 901820", "GH", "+23330901820"),
        ("zeta", "12", "GH", None),
    ]
    moved = {**TENANTS, "acme": Tenant("acme", "Acme", "Africa/Accra", "GHS", "GH")}
    load_landing(database, settings, contracts=CONTRACTS, tenants=moved)
    assert query(database, derived)[1] == ("acme", "024 412 3456", "GH", "+233244123456")


def test_what_was_loaded_is_known_to_the_planner(
    put: Put, load: Load, database: sqlalchemy.Engine
) -> None:
    """Prevents a first build that takes minutes, because it comes before autovacuum: every row with
    a phone is joined to the numbers, and without statistics by the tenant alone."""
    put("acme/things/1.csv", "id,phone\n1,024 412 3456\n")
    load()
    statement = """
        select relname from pg_class
        where oid in ('raw.things'::regclass, 'raw.phone_numbers'::regclass) and reltuples = 1
        order by 1
    """
    assert query(database, statement) == [("phone_numbers",), ("things",)]


def test_a_landing_zone_behind_fsspec(database: sqlalchemy.Engine, settings: Settings) -> None:
    """Prevents object stores from being an untried promise."""
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/landing-test/acme/things/a.csv", b"id,note\n1,x\n")
    store.pipe("/landing-test/acme/things/b.parquet", b"junk")
    settings.landing = "memory://landing-test"
    try:
        report = load_landing(database, settings, contracts=CONTRACTS, tenants=TENANTS)
    finally:
        store.rm("/landing-test", recursive=True)
    assert [(result.file, result.status) for result in report.files] == [
        ("acme/things/a.csv", "loaded"),
        ("acme/things/b.parquet", "refused"),
    ]


def test_raw_tables_follow_their_contracts(database: sqlalchemy.Engine) -> None:
    """Prevents a new column from needing a rebuild, or a changed type from being half-applied."""
    with database.begin() as connection:
        ensure_raw_tables(connection)
        ensure_raw_tables(connection)
        ensure_raw_tables(connection, {"visits": VISITS})
        wider = Contract("visits", "", (*VISITS.columns, Column("seconds", "bigint")), key=("id",))
        ensure_raw_tables(connection, {"visits": wider})
        connection.exec_driver_sql("select seconds from raw.visits")
        other = Contract("visits", "", (Column("id", "bigint"),), key=("id",))
        with pytest.raises(ContractError, match="column id is text, but its contract says bigint"):
            ensure_raw_tables(connection, {"visits": other})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
VALUES = {
    "text": st.text(),
    "numeric": st.from_regex(NUMERIC, fullmatch=True, alphabet="+-.0123456789"),
    "bigint": st.from_regex(BIGINT, fullmatch=True, alphabet="+-0123456789"),
    "boolean": st.sampled_from(["true", "False", "YES", "no", "1", "0"]),
    "timestamptz": st.from_regex(TIMESTAMP, fullmatch=True, alphabet="+-.:0123456789TUCZ "),
    "jsonb": st.builds(json.dumps, JSON, ensure_ascii=st.booleans()),
}


@pytest.mark.long
def test_what_the_validation_accepts_the_database_accepts(database: sqlalchemy.Engine) -> None:
    """Prevents a value from passing validation and then failing its whole file in COPY."""
    with database.connect() as connection:

        @given(st.fixed_dictionaries({kind: st.lists(v, max_size=9) for kind, v in VALUES.items()}))
        def any_values(drawn: dict[str, list[str]]) -> None:
            for kind, values in drawn.items():
                accepted = [value for value in values if fault(Column("x", kind), value) is None]
                connection.execute(
                    sqlalchemy.text(f"select cast(cast(:accepted as text[]) as {kind}[])"),
                    {"accepted": accepted},
                )

        any_values()


PIECES = st.lists(
    st.sampled_from(
        [b"\n", b",", b'"', b"1", b"-", b"{}", b"\\", b"\x00", b"\r", b"\xff", b" ", "é".encode(),
         b"2026-01-01", b"1,a,1,{},+49 30 901820,2026-01-01\n", b"2,,,,,\n"]
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.long
def test_any_bytes_add_up(database: sqlalchemy.Engine, put: Put, load: Load) -> None:
    """Prevents odd bytes from crashing a load or from hiding rows."""
    number = 0

    @given(PIECES)
    def any_bytes(pieces: list[bytes]) -> None:
        nonlocal number
        number += 1
        data = b"id,note,amount,data,phone,updated_at\n" + b"".join(pieces)
        file = put(f"acme/things/{number}.csv", data)
        report = load()
        file.unlink()
        assert [result.status in ("loaded", "already_loaded", "refused") for result in report.files]

    any_bytes()
    twice = "select id from raw.things where _is_current group by id having count(*) > 1"
    assert query(database, twice) == []
