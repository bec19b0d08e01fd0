"""What should have come by now, by `seeds/freshness.csv`: files of sources, and builds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy

from orchestration.seeds.files import Row, SeedError, SeedFile

SEED = "freshness"
EVERY, MARTS = "*", "marts"


@dataclass(frozen=True)
class Cadence:
    """How often something is expected."""

    every: timedelta
    slack: timedelta
    line: int


@dataclass(frozen=True)
class SourceAge:
    """When a tenant's source last brought a file."""

    tenant_id: str
    source: str
    loaded_at: datetime
    due_at: datetime
    """When the next one should have come at the latest."""
    is_late: bool
    line: int

    def explain(self) -> str:
        """Since when the source is late, and the way out."""
        return (
            f"raw.{self.source} of {self.tenant_id}: the last file came at "
            f"{self.loaded_at:%Y-%m-%d %H:%M} UTC, and the next was due by "
            f"{self.due_at:%Y-%m-%d %H:%M}. Ask whoever exports it, or change "
            f"seeds/{SEED}.csv line {self.line}"
        )


def source_ages(
    connection: sqlalchemy.Connection,
    cadences: Mapping[tuple[str, str], Cadence],
    now: datetime,
) -> list[SourceAge]:
    """Every source that a tenant has ever loaded and that is expected regularly.

    A source that never came is none that the tenant has.

    Args:
        connection: to a migrated warehouse.
        cadences: by tenant and subject.
        now: the present.
    """
    rows = connection.execute(
        sqlalchemy.text(
            """
            select tenant_id, source, max(finished_at) as loaded_at
            from ops.loads
            where status = 'loaded'
            group by tenant_id, source
            order by tenant_id, source
            """
        )
    )
    loaded = {(row.tenant_id, row.source): row.loaded_at.astimezone(UTC) for row in rows}
    return judge(loaded, cadences, now)


def judge(
    loaded: Mapping[tuple[str, str], datetime],
    cadences: Mapping[tuple[str, str], Cadence],
    now: datetime,
) -> list[SourceAge]:
    """Hold the last load of each tenant and source against its cadence.

    Args:
        loaded: by tenant and source.
        cadences: by tenant and subject, either of which may be `*`.
        now: the present.
    """
    ages = []
    for (tenant_id, source), loaded_at in loaded.items():
        cadence = _first(
            cadences, [(tenant_id, source), (tenant_id, EVERY), (EVERY, source), (EVERY, EVERY)]
        )
        if cadence is not None:
            due_at = loaded_at + cadence.every + cadence.slack
            ages.append(SourceAge(tenant_id, source, loaded_at, due_at, now > due_at, cadence.line))
    return ages


def late_build(built_at: datetime, cadence: Cadence, now: datetime) -> str | None:
    """Words about marts and messages that should have been built again; None while they are fresh.

    Args:
        built_at: when the last whole build that succeeded ended.
        cadence: of the marts.
        now: the present.
    """
    due_at = built_at + cadence.every + cadence.slack
    if now <= due_at:
        return None
    return (
        f"marts and messages: the last whole build that succeeded ended at "
        f"{built_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, and the next was due by "
        f"{due_at.astimezone(UTC):%Y-%m-%d %H:%M}. Build: journey build, or change "
        f"seeds/{SEED}.csv line {cadence.line}"
    )


def read_cadences(
    seeds: Mapping[str, SeedFile], sources: Collection[str]
) -> dict[tuple[str, str], Cadence]:
    """Read the seed, by tenant and subject.

    Args:
        seeds: every seed, by name.
        sources: the names of the sources.

    Raises:
        SeedError: a line cannot be used; the message names each.
    """
    file = seeds[SEED]
    if not file.findings:
        for row in file.rows:
            if row["subject"] not in {EVERY, MARTS, *sources}:
                file.blame(row.line, f"subject: there is no source {row['subject']}")
            if row["subject"] == MARTS and row["tenant_id"] != EVERY:
                file.blame(row.line, f"tenant_id: {MARTS} are built for all tenants; write {EVERY}")
        if not any(row["subject"] == MARTS for row in file.rows):
            file.blame(0, f"{MARTS} has no row; add {EVERY},{MARTS},24,2,The nightly build")
    if file.findings:
        raise SeedError("\n".join(map(str, sorted(file.findings))))
    return {(row["tenant_id"], row["subject"]): _cadence(row) for row in file.rows}


def _cadence(row: Row) -> Cadence:
    return Cadence(
        timedelta(hours=int(row["expected_every_hours"])),
        timedelta(hours=int(row["slack_hours"])),
        row.line,
    )


def _first(
    cadences: Mapping[tuple[str, str], Cadence], keys: Iterable[tuple[str, str]]
) -> Cadence | None:
    return next((cadences[key] for key in keys if key in cadences), None)
