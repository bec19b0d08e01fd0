"""The dry run: the very payloads as files, and a row per message in the outbox.

Files stand below `outbox/<as-of>/<output>/<tenant>/<destination>/<purpose>.jsonl` in JOURNEY_HOME,
one payload per line, in the order of their message ids. The same build gives the same bytes.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy.dialects.postgresql import JSONB, insert

from orchestration.activation.gate import require_success
from orchestration.activation.message import OUTPUTS, SYNC_SCHEMA, Message
from orchestration.ingest.tenants import read_tenants
from orchestration.settings import SEEDS_DIR, Settings
from orchestration.warehouse.builds import Build
from orchestration.warehouse.database import engine
from orchestration.warehouse.errors import JourneyError
from orchestration.warehouse.storage import locked, make_folder, writing_to

ROWS_PER_FETCH = 5_000
SAMPLES = 3

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_MESSAGE_COLUMNS = (
    "message_id",
    "tenant_id",
    "customer_id",
    "destination",
    "operation",
    "purpose",
    "payload",
    "not_before",
    "expires_at",
)
_DELIVERIES = sqlalchemy.table(
    "deliveries",
    *(sqlalchemy.column(name) for name in _MESSAGE_COLUMNS),
    *(
        sqlalchemy.column(name)
        for name in ("output", "state", "build_id", "created_at", "updated_at")
    ),
    schema="outbox",
)


class DeliveryError(JourneyError):
    """A message cannot be delivered as it stands."""


@dataclass(frozen=True)
class PurposeReport:
    """What became of the messages of one purpose."""

    output: str
    tenant_id: str
    destination: str
    purpose: str
    written: int = 0
    """Payloads in the file."""
    waiting: int = 0
    """Too early: `not_before` is after the build's as-of."""
    expired: int = 0
    """Too late: `expires_at` is not after the build's as-of."""
    recorded: int = 0
    """Rows that are new in the outbox."""
    file: str | None = None
    samples: tuple[str, ...] = ()
    """The first message ids."""


@dataclass(frozen=True)
class DeliveryReport:
    """What a dry run wrote, and where."""

    build_id: UUID
    as_of: datetime
    folder: Path
    purposes: tuple[PurposeReport, ...]

    def total(self, what: str) -> int:
        """The sum of `written`, `waiting`, `expired` or `recorded` over all purposes."""
        return sum(int(getattr(purpose, what)) for purpose in self.purposes)

    def of(self, output: str) -> DeliveryReport:
        """The part of one output."""
        own = tuple(purpose for purpose in self.purposes if purpose.output == output)
        return replace(self, purposes=own)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "build_id": str(self.build_id),
            "as_of": self.as_of.isoformat(),
            "folder": str(self.folder),
            "purposes": [asdict(purpose) for purpose in self.purposes],
        }


def deliver(
    settings: Settings, tenant: str | None = None, outputs: Sequence[str] = tuple(OUTPUTS)
) -> DeliveryReport:
    """Write the payloads of the latest build to files; nothing leaves the machine.

    Running it again writes the same files and adds no row to the outbox.

    Args:
        settings: where the warehouse and the home are.
        tenant: only this tenant; everyone by default.
        outputs: names from `OUTPUTS`.

    Raises:
        GateClosed: the latest build did not succeed.
        DeliveryError: a message names a folder that cannot be, or the tenant is not known.
    """
    if tenant is not None:
        require_tenant(tenant)
    database = engine(settings)
    make_folder(settings.home / "outbox")
    try:
        with (
            locked(settings.home / "outbox.lock", "the dry run"),
            database.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
            connection.begin(),
        ):
            build = require_success(connection)
            folder = settings.home / "outbox" / f"{build.as_of:%Y-%m-%dT%H%M%S.%fZ}"
            purposes = [
                purpose
                for output in outputs
                for purpose in _deliver_output(connection, build, output, tenant, folder)
            ]
    finally:
        database.dispose()
    return DeliveryReport(build.build_id, build.as_of, folder, tuple(purposes))


def _deliver_output(
    connection: sqlalchemy.Connection, build: Build, output: str, tenant: str | None, folder: Path
) -> Iterator[PurposeReport]:
    sync = sqlalchemy.table(
        OUTPUTS[output],
        *(sqlalchemy.column(name) for name in _MESSAGE_COLUMNS),
        schema=SYNC_SCHEMA,
    )
    chosen = sqlalchemy.true() if tenant is None else sync.c.tenant_id == tenant
    is_early = sqlalchemy.func.coalesce(sync.c.not_before > build.as_of, False)
    is_late = sqlalchemy.func.coalesce(sync.c.expires_at <= build.as_of, False)
    is_due = sqlalchemy.not_(is_early) & sqlalchemy.not_(is_late)

    recorded = _record(connection, sync, chosen & is_due, output, build)
    counts = _counts(connection, sync, chosen, is_early, is_late)
    target = folder / output if tenant is None else folder / output / _folder_name(tenant)
    written = _write(_messages(connection, sync, chosen & is_due), folder / output, target)
    for (tenant_id, destination, purpose), (early, late) in counts.items():
        report = PurposeReport(output, tenant_id, destination, purpose)
        address = (tenant_id, destination, purpose)
        count, file, samples = written.get(address, (0, None, ()))
        yield replace(
            report,
            written=count,
            waiting=early,
            expired=late,
            recorded=recorded.get(address, 0),
            file=str(file) if file else None,
            samples=samples,
        )


def _record(
    connection: sqlalchemy.Connection,
    sync: sqlalchemy.TableClause,
    chosen: sqlalchemy.ColumnElement[bool],
    output: str,
    build: Build,
) -> dict[tuple[str, str, str], int]:
    """Add a row for every message that the outbox does not know; how many per address."""
    now = datetime.now(UTC)
    constants = {"output": output, "state": "dry_run", "build_id": build.build_id}
    messages = sqlalchemy.select(
        *(sync.c[name] for name in _MESSAGE_COLUMNS),
        *(sqlalchemy.literal(value) for value in constants.values()),
        sqlalchemy.literal(now),
        sqlalchemy.literal(now),
    ).where(chosen)
    statement = (
        insert(_DELIVERIES)
        .from_select([*_MESSAGE_COLUMNS, *constants, "created_at", "updated_at"], messages)
        .on_conflict_do_nothing(index_elements=["message_id"])
        .returning(_DELIVERIES.c.tenant_id, _DELIVERIES.c.destination, _DELIVERIES.c.purpose)
    )
    added = statement.cte("added")
    address = (added.c.tenant_id, added.c.destination, added.c.purpose)
    rows = connection.execute(
        sqlalchemy.select(*address, sqlalchemy.func.count()).group_by(*address)
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def _counts(
    connection: sqlalchemy.Connection,
    sync: sqlalchemy.TableClause,
    chosen: sqlalchemy.ColumnElement[bool],
    is_early: sqlalchemy.ColumnElement[bool],
    is_late: sqlalchemy.ColumnElement[bool],
) -> dict[tuple[str, str, str], tuple[int, int]]:
    """How many messages are too late, else too early, per address."""
    address = (sync.c.tenant_id, sync.c.destination, sync.c.purpose)
    rows = connection.execute(
        sqlalchemy.select(
            *address,
            sqlalchemy.func.count().filter(is_early & sqlalchemy.not_(is_late)),
            sqlalchemy.func.count().filter(is_late),
        )
        .where(chosen)
        .group_by(*address)
        .order_by(*(sqlalchemy.collate(column, "C") for column in address))
    )
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


def _messages(
    connection: sqlalchemy.Connection,
    sync: sqlalchemy.TableClause,
    chosen: sqlalchemy.ColumnElement[bool],
) -> Iterator[Message]:
    payload = sqlalchemy.cast(sqlalchemy.cast(sync.c.payload, JSONB), sqlalchemy.Text)
    columns = [
        payload.label(name) if name == "payload" else sync.c[name] for name in _MESSAGE_COLUMNS
    ]
    order = ("tenant_id", "destination", "purpose", "message_id")
    query = (
        sqlalchemy.select(*columns)
        .where(chosen)
        .order_by(*(sqlalchemy.collate(sync.c[name], "C") for name in order))
        .execution_options(yield_per=ROWS_PER_FETCH)
    )
    for row in connection.execute(query).mappings():
        yield Message(**row)


def _write(
    messages: Iterable[Message], folder: Path, target: Path
) -> dict[tuple[str, str, str], tuple[int, Path, tuple[str, ...]]]:
    """Write the payloads; `target` (the folder or a part of it) is replaced as a whole."""
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    make_folder(new)
    written: dict[tuple[str, str, str], tuple[int, Path, tuple[str, ...]]] = {}
    with writing_to(new):
        for address, group in itertools.groupby(messages, key=lambda message: message.address):
            tenant_id, destination, purpose = map(_folder_name, address)
            final = folder / tenant_id / destination / f"{purpose}.jsonl"
            path = new / final.relative_to(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            samples: list[str] = []
            count = 0
            with path.open("w", encoding="utf-8", newline="\n") as file:
                for message in group:
                    file.write(message.payload + "\n")
                    count += 1
                    if count <= SAMPLES:
                        samples.append(message.message_id)
            written[address] = (count, final, tuple(samples))
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
    return written


def _folder_name(name: str) -> str:
    if not _FOLDER_NAME.fullmatch(name):
        raise DeliveryError(
            f"A sync model names the tenant, destination or purpose {name!r}, which cannot be a "
            "folder: use letters, digits, '_', '-' and '.' only."
        )
    return name


def require_tenant(tenant: str) -> str:
    """The tenant, which must be listed.

    Raises:
        DeliveryError: the message names those that are.
        TenantsError: the list cannot be read.
    """
    known = read_tenants(SEEDS_DIR / "tenants.csv")
    if tenant not in known:
        raise DeliveryError(f"There is no tenant {tenant!r}; known: {', '.join(sorted(known))}")
    return tenant
