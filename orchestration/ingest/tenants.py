"""The tenants, as `seeds/tenants.csv` lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

from orchestration.ingest.errors import TenantsError
from orchestration.seeds.files import read_seed, repeated

COLUMNS = ("tenant_id", "name", "time_zone", "currency", "phone_region")
TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True)
class Tenant:
    """One isolated business."""

    tenant_id: str
    name: str
    time_zone: str
    currency: str
    phone_region: str


def read_tenants(file: Path) -> dict[str, Tenant]:
    """Read the list of tenants, by tenant_id.

    Raises:
        TenantsError: the file is missing, or lines cannot be used; the message names each.
    """
    seed = read_seed(file, str(file), COLUMNS, more_columns=True)
    for row in seed.rows:
        for problem in tenant_faults(row.values):
            seed.blame(row.line, problem)
    for row, first in repeated(seed.rows, ["tenant_id"]):
        seed.blame(row.line, f"tenant {row['tenant_id']} stands in line {first.line} already")
    if seed.findings:
        raise TenantsError("\n".join(map(str, sorted(seed.findings))))
    return {
        row["tenant_id"]: Tenant(**{column: row[column] for column in COLUMNS}) for row in seed.rows
    }


def tenant_faults(values: Mapping[str, str]) -> Iterator[str]:
    """Why a line of the list cannot be used: nothing when it can."""
    from phonenumbers import SUPPORTED_REGIONS

    if not TENANT_ID.fullmatch(values["tenant_id"]):
        yield (
            f"tenant_id {values['tenant_id']!r} must be lower-case letters, digits, _ or -, "
            "because it names a folder"
        )
    if not is_time_zone(values["time_zone"]):
        yield f"time_zone {values['time_zone']!r} is unknown; write it like Europe/Berlin"
    if not is_currency(values["currency"]):
        yield f"currency {values['currency']!r} is no ISO 4217 code like EUR"
    if values["phone_region"] not in SUPPORTED_REGIONS:
        yield f"phone_region {values['phone_region']!r} is no region like DE"


def is_time_zone(name: str) -> bool:
    """Whether this is an IANA time zone."""
    return name in _time_zones()


@cache
def _time_zones() -> set[str]:
    # the files of a system hold this one too, which PostgreSQL does not know
    return available_timezones() - {"localtime"}


def is_currency(code: str) -> bool:
    """Whether this is, or was, a currency of ISO 4217."""
    return code in _currencies()


@cache
def _currencies() -> frozenset[str]:
    from babel.numbers import list_currencies

    return frozenset(list_currencies())
