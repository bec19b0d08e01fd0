"""The marketing export as files: CSV, JSON Lines and Parquet with the same rows.

They stand below `exports/<tenant>/` in JOURNEY_HOME and are replaced as a whole. An address whose
consent was withdrawn after the build is left out of them, and so is whoever asked to be forgotten
or has no address left.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy
from sqlalchemy import text

from orchestration.activation import checks, switches
from orchestration.activation.deliver import require_tenant
from orchestration.activation.gate import require_fresh, require_success
from orchestration.settings import Settings
from orchestration.warehouse.builds import hold_still
from orchestration.warehouse.database import engine
from orchestration.warehouse.roles import SENDER
from orchestration.warehouse.storage import make_folder, writing_to

NAME = "files"
EXPORT = "customer_marketing_export"
ROWS_PER_FETCH = 5_000
ANSWERS = ("may_be_mailed", "may_be_texted")
"""Columns of the query beside those of the export."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ROWS = text(
    f"""
    with export as (
        select *
        from marts.{EXPORT} as contacts
        where
            tenant_id = :tenant_id
            and not exists (
                select 1
                from marts.customer_identities as identities
                inner join pg_temp.erased_identifiers as erased
                    on
                        identities.identifier_type = erased.identifier_type
                        and identities.identifier = erased.identifier
                where
                    contacts.tenant_id = identities.tenant_id
                    and contacts.customer_id = identities.customer_id
            )
    ),

    asked as (
        select
            export.*,
            export.is_reachable_by_email
            and not exists (
                select 1
                from pg_temp.unseen_refusals as refusals
                where
                    refusals.reason in ('email_not_subscribed', 'email_suppressed')
                    and export.email = refusals.address
            ) as may_be_mailed,
            export.is_reachable_by_sms
            and not exists (
                select 1
                from pg_temp.unseen_refusals as refusals
                where
                    refusals.reason = 'sms_not_subscribed'
                    and export.phone = refusals.address
            ) as may_be_texted
        from export
    )

    select *
    from asked
    where may_be_mailed or may_be_texted
    order by customer_id
    """  # noqa: S608
)


@dataclass(frozen=True)
class ExportReport:
    """What was written, and where; no files when sending is stopped by hand."""

    rows: int
    files: tuple[Path, ...]


def write_export(settings: Settings, tenant_id: str, now: datetime | None = None) -> ExportReport:
    """Write the people whom the tenant may contact, as the latest build and raw know them.

    Raises:
        GateClosed: the latest build does not vouch for them, or is too old.
        BuildRunning: a build is changing the marts.
        DeliveryError: the tenant is not known.
        StorageError: the folder cannot be written.
    """
    require_tenant(tenant_id)
    database = engine(settings, SENDER)
    try:
        with database.begin() as connection:
            hold_still(connection)
            build = require_success(connection)
            most = timedelta(hours=settings.max_build_age_hours)
            require_fresh(build, now or datetime.now(UTC), most)
            if switches.switch_against(connection, tenant_id, NAME) is not None:
                return ExportReport(0, ())
            checks.read_unseen(connection, build, tenant_id)
            rows = connection.execute(
                _ROWS, {"tenant_id": tenant_id}, execution_options={"yield_per": ROWS_PER_FETCH}
            )
            columns = [name for name in list(rows.keys()) if name not in ANSWERS]
            return _write(
                settings.home / "exports" / tenant_id, columns, map(_contact, rows.mappings())
            )
    finally:
        database.dispose()


def without_formula(value: object) -> object:
    """A cell that no spreadsheet takes for a formula; numbers and phones stay as they are."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def _contact(row: sqlalchemy.RowMapping) -> dict[str, Any]:
    """The row with the addresses that may be used now."""
    contact: dict[str, Any] = dict(row)
    may_be_mailed, may_be_texted = (contact.pop(answer) for answer in ANSWERS)
    if not may_be_mailed:
        contact |= {"email": None, "is_reachable_by_email": False}
    if not may_be_texted:
        contact |= {"phone": None, "is_reachable_by_sms": False}
    return contact


def _write(
    folder: Path, columns: Sequence[str], contacts: Iterator[dict[str, Any]]
) -> ExportReport:
    import pyarrow
    from pyarrow import parquet

    types = {
        "is_reachable_by_email": pyarrow.bool_(),
        "is_reachable_by_sms": pyarrow.bool_(),
        "lifetime_value": pyarrow.decimal128(14, 2),
    }
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in columns])
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    make_folder(new)
    count = 0
    with writing_to(new), ExitStack() as open_files:
        csv_file = open_files.enter_context(
            (new / f"{EXPORT}.csv").open("w", encoding="utf-8", newline="")
        )
        json_file = open_files.enter_context((new / f"{EXPORT}.jsonl").open("wb"))
        parquet_file = open_files.enter_context(
            parquet.ParquetWriter(new / f"{EXPORT}.parquet", schema)
        )
        table = csv.writer(csv_file, lineterminator="\n")
        table.writerow(columns)
        page: list[dict[str, Any]] = []
        for contact in contacts:
            table.writerow([without_formula(contact[name]) for name in columns])
            json_file.write(orjson.dumps(contact, default=str) + b"\n")
            page.append(contact)
            count += 1
            if len(page) == ROWS_PER_FETCH:
                parquet_file.write_table(pyarrow.Table.from_pylist(page, schema))
                page = []
        parquet_file.write_table(pyarrow.Table.from_pylist(page, schema))
    with writing_to(folder):
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    return ExportReport(count, tuple(sorted(folder.iterdir())))
