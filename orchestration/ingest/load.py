"""Loading: every new file of the landing zone, each in one transaction, into its raw table."""

from __future__ import annotations

import io
import json
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import IO, Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import sqlalchemy

from orchestration.ingest import shopify_export
from orchestration.ingest.contracts import Contract, ensure_raw_tables, read_contracts
from orchestration.ingest.errors import FileRefused, LoadBusy
from orchestration.ingest.landing import Landing, LandingFile, LandingProblem, blocks
from orchestration.ingest.merge import ADDED, Merge
from orchestration.ingest.phones import Derivation, derive_again, new_phones
from orchestration.ingest.readers import Reading, RejectedRow, RowBatch, read_parquet, read_rows
from orchestration.ingest.tenants import Tenant, read_tenants
from orchestration.ingest.validation import faults
from orchestration.privacy.erasure import forget_again
from orchestration.privacy.texts import FORGOTTEN_TEXT, forgotten_by
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR, Settings
from orchestration.warehouse.errors import DatabaseUnavailable

LOAD_LOCK = 4_740_002
LOCK_WAIT = "5s"
PIECES_AHEAD = 3
"""Blocks that may wait, read and validated, for the database."""
REJECTED_IN_MEMORY = 8 * 1024 * 1024


STATUSES = ("loaded", "already_loaded", "refused")


@dataclass(frozen=True)
class FileResult:
    """What became of one landing file."""

    file: str
    tenant_id: str
    source: str
    status: str
    """`loaded`, `already_loaded` or `refused`."""
    rows_read: int = 0
    rows_loaded: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a load has come; handed to the caller's `progress` function."""

    file: str
    bytes_done: int
    """Of all files, finished ones included."""
    bytes_total: int
    result: FileResult | None = None
    """Set once the file is done."""


@dataclass
class LoadReport:
    """What a load did, file by file, and what it could not make sense of."""

    files: list[FileResult] = field(default_factory=list)
    problems: list[LandingProblem] = field(default_factory=list)

    def with_status(self, status: str) -> list[FileResult]:
        """The files that are `loaded`, `already_loaded` or `refused`."""
        return [result for result in self.files if result.status == status]

    @property
    def is_clean(self) -> bool:
        """No file was refused and nothing lay where it does not belong."""
        return not self.problems and not self.with_status("refused")

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, with totals: rows, and files per status."""
        names = ("rows_read", "rows_loaded", "rows_unchanged", "rows_rejected")
        totals = {name: sum(getattr(result, name) for result in self.files) for name in names}
        return {
            "files": [asdict(result) for result in self.files],
            "problems": [asdict(problem) for problem in self.problems],
            "totals": totals | {f"files_{one}": len(self.with_status(one)) for one in STATUSES},
        }


def load_landing(
    engine: sqlalchemy.Engine,
    settings: Settings,
    progress: Callable[[Progress], None] | None = None,
    *,
    contracts: Mapping[str, Contract] | None = None,
    tenants: Mapping[str, Tenant] | None = None,
) -> LoadReport:
    """Load every file of the landing zone that is not loaded yet, in path order.

    A file is one transaction, all or nothing. Contracts and tenants come from the dbt project
    and the seeds unless given. For every file, rows read = loaded + unchanged + rejected.

    Raises:
        LandingError: the landing zone cannot be listed.
        LoadBusy: another load is running.
        ContractError, TenantsError: the declarations cannot be used.
        DatabaseUnavailable: the database cannot be reached or goes away.
    """
    contracts = contracts if contracts is not None else read_contracts(DBT_PROJECT_DIR)
    tenants = tenants if tenants is not None else read_tenants(SEEDS_DIR / "tenants.csv")
    landing = Landing(settings.landing)
    files, problems = landing.scan(tenants, contracts)
    report = LoadReport(problems=problems)
    bytes_total = sum(file.bytes for file in files)
    bytes_before = 0
    touched: set[str] = set()
    with engine.connect() as connection, _database_errors(), only_load(connection):
        with connection.begin():
            ensure_raw_tables(connection, contracts)
            for tenant in tenants.values():
                derive_again(_cursor(connection), tenant.tenant_id, tenant.phone_region)
        for file in files:

            def tell(
                bytes_read: int,
                result: FileResult | None = None,
                file: LandingFile = file,
                before: int = bytes_before,
            ) -> None:
                if progress is not None:
                    progress(Progress(file.path, before + bytes_read, bytes_total, result))

            one = _FileLoad(
                connection, landing, file, contracts[file.source], tenants[file.tenant_id], tell
            )
            try:
                result = one.run()
            except OSError as error:
                reason = error.strerror or str(error) or type(error).__name__
                report.problems.append(LandingProblem(file.path, f"cannot be read: {reason}"))
                result = None
            bytes_before += file.bytes
            if result is not None:
                report.files.append(result)
                tell(file.bytes, result)
                if result.rows_loaded:
                    touched.add(file.source)
        with connection.begin():
            for source in sorted(touched):
                connection.exec_driver_sql(f"analyze {contracts[source].table}")
            if touched:
                connection.exec_driver_sql("analyze raw.phone_numbers")
    return report


class _FileLoad:
    """One file on its way into the warehouse."""

    def __init__(
        self,
        connection: sqlalchemy.Connection,
        landing: Landing,
        file: LandingFile,
        contract: Contract,
        tenant: Tenant,
        tell: Callable[[int], None],
    ) -> None:
        self.connection = connection
        self.landing = landing
        self.file = file
        self.contract = contract
        self.tenant = tenant
        self.tell = tell
        self.started = time.monotonic()

    def run(self) -> FileResult:
        """Load the file, or record why it is refused.

        Raises:
            OSError: it cannot be opened or read.
        """
        sha256 = self.landing.sha256(self.file)
        with self.connection.begin():
            is_loaded: bool = self.connection.execute(
                sqlalchemy.text(
                    "select exists (select 1 from ops.loads where tenant_id = :tenant_id"
                    " and source = :source and sha256 = :sha256 and status = 'loaded')"
                ),
                self._identity(sha256),
            ).scalar_one()
        if is_loaded:
            return self._result("already_loaded")
        try:
            with self.connection.begin():
                return self._load(sha256)
        except (FileRefused, psycopg.DataError) as error:
            reason = (
                str(error)
                if isinstance(error, FileRefused)
                else f"the database refuses a value: {_in_one_line(str(error))}"
            )
            with self.connection.begin():
                self._record_refusal(sha256, reason)
            return self._result("refused", error=reason)

    def _load(self, sha256: str) -> FileResult:
        cursor = _cursor(self.connection)
        load_id = self._record_start(cursor, sha256)
        with (
            self.landing.open(self.file) as opened,
            tempfile.SpooledTemporaryFile(REJECTED_IN_MEMORY) as rejected,
        ):
            merge = Merge(cursor, self.contract, self.tenant.tenant_id, load_id)
            reader = _ReadAhead(self.contract, self.file, load_id, opened, rejected)
            with reader:
                for piece in reader:
                    merge.add(piece)
                    self.tell(min(reader.bytes_read, self.file.bytes))
            if self.landing.size(self.file) != self.file.bytes:
                raise OSError("it changed meanwhile, and is loaded next time")
            phones = new_phones(cursor, merge.phones(), self.tenant.tenant_id)
            derivation = Derivation(phones, self.tenant.phone_region)
            merge.finish()
            derivation.store(cursor, self.tenant.tenant_id)
            self._store_rejected(cursor, load_id, rejected)
            forget_again(cursor, self.contract, self.tenant.tenant_id, load_id, phones)
        result = self._result(
            "loaded",
            rows_read=merge.rows_loaded + merge.rows_unchanged + reader.rows_rejected,
            rows_loaded=merge.rows_loaded,
            rows_unchanged=merge.rows_unchanged,
            rows_rejected=reader.rows_rejected,
        )
        self._record_end(cursor, load_id, result, reader.ignored_columns)
        return result

    def _identity(self, sha256: str) -> dict[str, str]:
        return {
            "tenant_id": self.file.tenant_id,
            "source": self.file.source,
            "sha256": sha256,
        }

    def _record_start(self, cursor: psycopg.Cursor[Any], sha256: str) -> int:
        values = {
            **self._identity(sha256),
            "file": self.file.path,
            "bytes": self.file.bytes,
            "format": self.file.format,
        }
        cursor.execute(
            """
            delete from ops.loads
            where
                tenant_id = %(tenant_id)s
                and source = %(source)s
                and sha256 = %(sha256)s
                and status = 'refused'
            """,
            values,
        )
        cursor.execute(
            """
            insert into ops.loads (
                tenant_id, source, file, sha256, bytes, format, status, started_at, finished_at
            )
            values (
                %(tenant_id)s, %(source)s, %(file)s, %(sha256)s, %(bytes)s, %(format)s,
                'loaded', now(), now()
            )
            returning load_id
            """,
            values,
        )
        (load_id,) = cursor.fetchone() or (0,)
        return int(load_id)

    def _record_end(
        self,
        cursor: psycopg.Cursor[Any],
        load_id: int,
        result: FileResult,
        ignored_columns: list[str],
    ) -> None:
        cursor.execute(
            """
            update ops.loads
            set
                rows_read = %s,
                rows_loaded = %s,
                rows_unchanged = %s,
                rows_rejected = %s,
                ignored_columns = %s,
                finished_at = clock_timestamp()
            where load_id = %s
            """,
            (
                result.rows_read,
                result.rows_loaded,
                result.rows_unchanged,
                result.rows_rejected,
                [_storable(name) for name in ignored_columns],
                load_id,
            ),
        )

    def _record_refusal(self, sha256: str, reason: str) -> None:
        self.connection.execute(
            sqlalchemy.text(
                """
                insert into ops.loads (
                    tenant_id, source, file, sha256, bytes, format, status, error,
                    started_at, finished_at
                )
                values (
                    :tenant_id, :source, :file, :sha256, :bytes, :format, 'refused', :error,
                    now() - make_interval(secs => :seconds), now()
                )
                on conflict (tenant_id, source, sha256) where status = 'refused'
                do update set
                    file = excluded.file,
                    error = excluded.error,
                    started_at = excluded.started_at,
                    finished_at = excluded.finished_at
                """
            ),
            {
                **self._identity(sha256),
                "file": self.file.path,
                "bytes": self.file.bytes,
                "format": self.file.format,
                "error": _storable(reason),
                "seconds": time.monotonic() - self.started,
            },
        )

    def _store_rejected(
        self, cursor: psycopg.Cursor[Any], load_id: int, rejected: IO[bytes]
    ) -> None:
        """Write the rejected rows; the text of one that shows somebody forgotten is left out."""
        rejected.seek(0)
        forgotten = forgotten_by(cursor, self.tenant.tenant_id)
        with cursor.copy(
            "copy raw.rejected_rows (load_id, tenant_id, source, file, line, content, reasons,"
            " rejected_at) from stdin"
        ) as copy:
            for written in rejected:
                line, content, reasons = json.loads(written)
                if forgotten.is_shown(content, self.tenant.phone_region):
                    content, reasons = FORGOTTEN_TEXT, [FORGOTTEN_TEXT]
                copy.write_row(
                    (
                        load_id,
                        self.file.tenant_id,
                        self.file.source,
                        self.file.path,
                        line,
                        content,
                        reasons,
                        "now",
                    )
                )

    def _result(self, status: str, **facts: Any) -> FileResult:
        return FileResult(
            self.file.path,
            self.file.tenant_id,
            self.file.source,
            status,
            seconds=round(time.monotonic() - self.started, 3),
            **facts,
        )


class _Stopped(Exception):
    """The consumer of the read-ahead has gone."""


class _ReadAhead:
    """Reads and validates in a thread of its own while the database takes what is ready.

    Iterating yields CSV bytes for COPY. Rejected rows go to a spooled file, one JSON list each,
    so that memory stays constant however many there are.
    """

    def __init__(
        self,
        contract: Contract,
        file: LandingFile,
        load_id: int,
        opened: IO[bytes],
        rejected: IO[bytes],
    ) -> None:
        self.contract = contract
        self.file = file
        self.load_id = load_id
        self.opened = opened
        self.rejected = rejected
        self.rows_rejected = 0
        self.bytes_read = 0
        self.ignored_columns: list[str] = []
        self._pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(PIECES_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="journey-read", daemon=True)

    def __enter__(self) -> _ReadAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            while not self._pieces.empty():
                self._pieces.get_nowait()
            self._thread.join(timeout=0.05)

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _produce(self) -> None:
        try:
            reading = self._reading()
            for batch in reading.batches:
                wrong = dict(batch.reasons)
                for row, reasons in faults(
                    self.contract, batch.columns, may_hold_nul=batch.may_hold_nul
                ).items():
                    wrong[row] = [*wrong.get(row, []), *reasons]
                for reject in batch.rejected:
                    self._reject(reject)
                for row in sorted(wrong):
                    line = int(batch.lines[row])
                    self._reject(RejectedRow(line, batch.content(row), wrong[row]))
                table = self._with_added(batch)
                if wrong:
                    keep = [True] * len(table)
                    for row in wrong:
                        keep[row] = False
                    table = table.filter(pa.array(keep))
                self.bytes_read = self.opened.tell()
                if len(table):
                    self._put(_csv_bytes(table))
            self.ignored_columns = reading.ignored_columns
            self._put(None)
        except _Stopped:
            pass
        except BaseException as error:
            with suppress(_Stopped):
                self._put(error)

    def _reading(self) -> Reading:
        if self.file.format == "parquet":
            return read_parquet(self.contract, self.opened, self.file.bytes)
        pieces = blocks(self.opened, is_gzip=self.file.is_gzip)
        if self.file.format == "csv" and self.file.source == shopify_export.SOURCE:
            start = next(pieces, b"")
            pieces = chain([start], pieces)
            if shopify_export.is_export(start):
                return shopify_export.read_export(self.contract, pieces)
        return read_rows(self.contract, self.file.format, pieces)

    def _with_added(self, batch: RowBatch) -> pa.Table:
        constants = {
            "tenant_id": self.file.tenant_id,
            "_load_id": self.load_id,
            "_loaded_at": "now",
            "_is_current": True,
        }
        added = {
            name: pa.repeat(constants[name], len(batch.lines))
            if name in constants
            else pa.array(batch.lines)
            for name in ADDED
        }
        return pa.table({**batch.columns, **added})

    def _reject(self, row: RejectedRow) -> None:
        self.rows_rejected += 1
        written = [row.line, _storable(row.content), [_storable(text) for text in row.reasons]]
        self.rejected.write(json.dumps(written).encode() + b"\n")

    def _put(self, piece: bytes | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._pieces.put(piece, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _Stopped


def _csv_bytes(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pa.csv.write_csv(table, written, pa.csv.WriteOptions(include_header=False))
    return written.getvalue()


def _storable(text: str) -> str:
    """Text as PostgreSQL can hold it: NUL becomes its symbol, half a surrogate pair a ?."""
    return text.replace("\x00", "\u2400").encode(errors="replace").decode()


def _in_one_line(error: object) -> str:
    return " ".join(str(error).split())


def _cursor(connection: sqlalchemy.Connection) -> psycopg.Cursor[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.cursor()


@contextmanager
def only_load(connection: sqlalchemy.Connection) -> Iterator[None]:
    """Hold the lock that keeps two loads apart, for as long as the connection lives.

    Raises:
        LoadBusy: another load holds it.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with connection.begin():
        # A load that was killed gives its lock up as soon as the server notices.
        connection.exec_driver_sql("set client_connection_check_interval = '1s'")
        connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_WAIT}'")
        try:
            driver.execute(f"select pg_advisory_lock({LOAD_LOCK})")
        except psycopg.errors.LockNotAvailable:
            raise LoadBusy(
                "Another load is running in this database. Wait for it to end, then run this again."
            ) from None
    try:
        yield
    finally:
        if not driver.closed:
            driver.rollback()
            driver.execute(f"select pg_advisory_unlock({LOAD_LOCK})")
            driver.execute("reset client_connection_check_interval")
            driver.commit()


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"The database failed during the load: {_in_one_line(error)}. Nothing half-loaded "
            "was kept; load again once it runs."
        ) from error
