"""Writes the whole sample: landing files for every source and, beside them, the truth."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestration.sample.clients import write_clients
from orchestration.sample.dirty import CORRECTED_LEAD, DirtyFact
from orchestration.sample.events import write_events
from orchestration.sample.hero import HERO_EMAIL, STORY_PEOPLE, WAITING_EMAIL, write_story
from orchestration.sample.loyalty import write_coupons, write_loyalty
from orchestration.sample.marketing import write_erasures, write_marketing
from orchestration.sample.people import CHUNK, People, make_people
from orchestration.sample.shopify import write_orders
from orchestration.sample.shops import write_shops
from orchestration.sample.touchpoints import write_touchpoints
from orchestration.sample.world import (
    AS_OF,
    AS_OF_TEXT,
    AURORA,
    BLUEGUM,
    DAY,
    KENTE,
    TENANTS,
    Tenant,
)
from orchestration.sample.writers import FileFormat, Landing
from orchestration.warehouse.errors import JourneyError

LEAST_CUSTOMERS = 20
Progress = Callable[[int, int], None]


class SampleError(JourneyError):
    """The sample cannot be written as asked."""


@dataclass(frozen=True)
class SampleReport:
    """What was written. `rows` counts the rows per (tenant, source), dirty ones included."""

    directory: Path
    manifest: Path
    as_of: str
    customers: int
    rows: dict[tuple[str, str], int]
    files: tuple[str, ...]
    dirty_rows: int
    hero_email: str = HERO_EMAIL


def manifest_directory(directory: Path) -> Path:
    """Where the facts about a sample lie: beside its landing folder, never inside."""
    return directory.with_name(f"{directory.name}.manifest")


def generate(
    directory: Path,
    customers: int,
    seed: int,
    file_format: FileFormat = "csv",
    progress: Progress | None = None,
) -> SampleReport:
    """Write landing files for that many customers in all tenants together.

    The same arguments give the same bytes. `file_format` is that of the touchpoints. Files appear
    in `directory` only when all are written; a sample that was there before is replaced.
    `progress` is called with (customers done, customers).

    Raises SampleError when there are too few customers or the folder holds something else.
    """
    directory = directory.absolute()
    if customers < LEAST_CUSTOMERS:
        raise SampleError(
            f"a sample of {customers} customers is too small for its stories: "
            f"ask for {LEAST_CUSTOMERS} or more"
        )
    if seed < 0:
        raise SampleError(f"the seed {seed} is negative: take 0 or more")
    manifest = manifest_directory(directory)
    earlier = _earlier_files(directory, manifest)
    partial = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        report = _write(partial, directory, customers, seed, file_format, progress)
        for name in earlier:
            (directory / name).unlink(missing_ok=True)
        for name in report.files:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / "landing" / name).replace(directory / name)
        manifest.mkdir(parents=True, exist_ok=True)
        for facts in sorted((partial / "manifest").iterdir()):
            facts.replace(manifest / facts.name)
    except OSError as error:
        raise SampleError(
            f"the sample cannot be written to {directory}: {error.strerror}; "
            "choose a folder with room that may be written"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


def _earlier_files(directory: Path, manifest: Path) -> list[str]:
    """Files of the sample already there, which this one replaces."""
    facts = manifest / "sample.json"
    if facts.exists():
        return list(json.loads(facts.read_text())["files"])
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise SampleError(
            f"{directory} holds something that is not a sample: choose a new or empty folder"
        )
    return []


def _write(
    partial: Path,
    directory: Path,
    customers: int,
    seed: int,
    file_format: FileFormat,
    progress: Progress | None,
) -> SampleReport:
    (partial / "manifest").mkdir(parents=True)
    landing = Landing(partial / "landing", file_format)
    done = 0
    with (partial / "manifest" / "truth.csv").open("w", newline="") as file:
        truth = csv.writer(file, lineterminator="\n")
        truth.writerow(("tenant_id", "person_id", "identifier_type", "identifier"))
        write_coupons(landing)
        write_clients(seed, customers, landing)
        truth.writerows(write_story(landing))
        for tenant, count in _people_per_tenant(customers).items():
            first = STORY_PEOPLE if tenant is AURORA else 0
            for start in range(first, count, CHUNK):
                size = min(CHUNK, count - start)
                people = make_people(tenant, seed, start, size)
                _write_people(people, landing)
                truth.writerows(people.truth_rows())
                done += size
                if progress is not None:
                    progress(min(done + STORY_PEOPLE, customers), customers)
    landing.add_mapping(AURORA.tenant_id, "leads", AS_OF - DAY, CORRECTED_LEAD)
    landing.close()
    return _describe(landing, partial, directory, customers, seed, file_format)


def _people_per_tenant(customers: int) -> dict[Tenant, int]:
    counts = {tenant: int(customers * tenant.share) for tenant in TENANTS}
    counts[AURORA] += customers - sum(counts.values())
    return counts


def _write_people(people: People, landing: Landing) -> None:
    """Write everything that these people did."""
    if people.tenant is KENTE:
        write_shops(people, landing)
        write_erasures(people, landing)
        return
    if people.tenant is BLUEGUM:
        orders = write_events(people, landing)
    else:
        orders = write_orders(people, landing)
        write_loyalty(people, orders, landing)
    write_marketing(people, landing)
    write_erasures(people, landing)
    write_touchpoints(people, orders, landing)


def _describe(
    landing: Landing,
    partial: Path,
    directory: Path,
    customers: int,
    seed: int,
    file_format: FileFormat,
) -> SampleReport:
    rows: dict[tuple[str, str], int] = {}
    files: list[str] = []
    facts: list[DirtyFact] = []
    for tenant, source, file in landing.files():
        name = file.path.relative_to(partial / "landing").as_posix()
        files.append(name)
        rows[tenant, source] = rows.get((tenant, source), 0) + file.rows
        facts.extend(fact._replace(file=name) for fact in file.facts)
    _write_facts(partial / "manifest" / "dirty_rows.csv", facts)
    dirty_rows = len({(fact.file, fact.line) for fact in facts})
    summary = {
        "as_of": AS_OF_TEXT,
        "customers": customers,
        "seed": seed,
        "touchpoint_format": file_format,
        "hero_email": HERO_EMAIL,
        "waiting_email": WAITING_EMAIL,
        "dirty_rows": dirty_rows,
        "rows": {f"{tenant}/{source}": count for (tenant, source), count in rows.items()},
        "files": files,
    }
    (partial / "manifest" / "sample.json").write_text(json.dumps(summary, indent=2) + "\n")
    return SampleReport(
        directory=directory,
        manifest=manifest_directory(directory),
        as_of=AS_OF_TEXT,
        customers=customers,
        rows=rows,
        files=tuple(files),
        dirty_rows=dirty_rows,
    )


def _write_facts(path: Path, facts: Iterable[DirtyFact]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("tenant_id", "source", "file", "line", "reason_column", "kind"))
        writer.writerows(sorted(facts))
