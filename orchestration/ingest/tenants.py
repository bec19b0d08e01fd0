"""The tenants, as `seeds/tenants.csv` lists them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from orchestration.ingest.errors import TenantsError

COLUMNS = ("tenant_id", "name", "time_zone", "currency", "phone_region")
TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
CURRENCY = re.compile(r"[A-Z]{3}")


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
        TenantsError: the file is missing, or a line cannot be used; the message names it.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            header = tuple(reader.fieldnames or ())
            missing = [column for column in COLUMNS if column not in header]
            if missing:
                raise TenantsError(f"{file}: column {', '.join(missing)} is missing")
            tenants: dict[str, Tenant] = {}
            for row in reader:
                tenant = _tenant(row, f"{file} line {reader.line_num}")
                if tenant.tenant_id in tenants:
                    raise TenantsError(
                        f"{file} line {reader.line_num}: tenant {tenant.tenant_id} is listed twice"
                    )
                tenants[tenant.tenant_id] = tenant
    except FileNotFoundError:
        raise TenantsError(
            f"{file} is missing; it lists the tenants, with the columns {', '.join(COLUMNS)}"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TenantsError(f"{file} cannot be read: {error}") from error
    return tenants


def _tenant(row: dict[str, str | None], where: str) -> Tenant:
    from phonenumbers import SUPPORTED_REGIONS

    values = {column: (row.get(column) or "").strip() for column in COLUMNS}
    if not TENANT_ID.fullmatch(values["tenant_id"]):
        raise TenantsError(
            f"{where}: tenant_id {values['tenant_id']!r} must be lower-case letters, digits, "
            "_ or -, because it names a folder"
        )
    try:
        ZoneInfo(values["time_zone"])
    except (KeyError, ValueError, OSError):
        raise TenantsError(
            f"{where}: time_zone {values['time_zone']!r} is unknown; write it like Europe/Berlin"
        ) from None
    if not CURRENCY.fullmatch(values["currency"]):
        raise TenantsError(
            f"{where}: currency {values['currency']!r} is not an ISO 4217 code such as EUR"
        )
    if values["phone_region"] not in SUPPORTED_REGIONS:
        raise TenantsError(
            f"{where}: phone_region {values['phone_region']!r} is not a region such as DE"
        )
    return Tenant(**values)
