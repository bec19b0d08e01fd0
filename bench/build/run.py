"""How long does a build take, model by model, and does its cost follow what changed?

Run it with `.venv/bin/python bench/build/run.py [--customers N]`. It makes sample files, starts a
server of its own, loads, and builds: everything; again with nothing new; after new rows for one
customer in a hundred; and after one row in a hundred for anybody. It writes
`bench/results/build.md`. With `--home` it keeps the warehouse there, for a look at its plans.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy

from orchestration.ingest.load import load_landing
from orchestration.sample.generate import generate
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.transform import TransformReport, project_fingerprint, transform
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine, migrate
from orchestration.warehouse.postgres import EmbeddedServer

RESULT = PROJECT_ROOT / "bench" / "results" / "build.md"
SEED = 7
SHARE = 0.01
SHOWN_SECONDS = 0.5
PERSON = tuple[str, str]
"""Tenant and e-mail."""


@dataclass(frozen=True)
class Measured:
    """One build, and how many customers it derived anew."""

    name: str
    report: TransformReport
    touched: int
    database_seconds: float
    """What the statements of the build took in the database, added up."""

    @property
    def models(self) -> Mapping[str, float]:
        """Seconds of each seed and model, without the tests."""
        return {
            node.name: node.seconds for node in self.report.nodes if node.resource_type != "test"
        }

    @property
    def tests_seconds(self) -> float:
        """Seconds of all tests."""
        return sum(node.seconds for node in self.report.nodes if node.resource_type == "test")


def statement_seconds(database: sqlalchemy.Engine) -> float:
    """Seconds that all statements have taken in this database so far."""
    time.sleep(1.5)  # a server counts what a connection did when it ends, or a second later
    with database.connect() as connection:
        milliseconds = connection.exec_driver_sql(
            "select active_time from pg_stat_database where datname = current_database()"
        ).scalar_one()
    return float(milliseconds) / 1_000


def pages_swapped_out() -> int:
    """Pages the machine has written to swap since it started."""
    counters = dict(
        line.split() for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    )
    return int(counters["pswpout"])


def measure(
    database: sqlalchemy.Engine, settings: Settings, name: str, as_of: datetime
) -> Measured:
    """Build as a schedule would, on top of what was built before."""
    before = statement_seconds(database)
    with building(database, as_of) as opened:
        covered = opened.coverage_before(project_fingerprint(), [])
        report = transform(settings, as_of, since=covered)
        report.require_success()
        opened.succeed("whole")
    database_seconds = statement_seconds(database) - before
    with database.connect() as connection:
        touched = connection.exec_driver_sql(
            "select count(*) from intermediate.int_customers__touched"
        ).scalar_one()
    print(f"{name}: {report.seconds:.1f} s, {touched:,} customers", flush=True)
    return Measured(name, report, touched, database_seconds)


def known_people(database: sqlalchemy.Engine) -> list[PERSON]:
    """Everybody with an e-mail, in a stable order."""
    statement = "select tenant_id, email from marts.customers where email is not null order by 1, 2"
    with database.connect() as connection:
        return [(row[0], row[1]) for row in connection.exec_driver_sql(statement)]


def write_touchpoints(
    landing: Path, name: str, people: Iterable[PERSON], at: datetime, generator: random.Random
) -> int:
    """New touchpoints of these people within the hour before `at`; how many."""
    rows: dict[str, list[list[str]]] = {}
    for number, (tenant, email) in enumerate(people):
        happened_at = at - timedelta(seconds=generator.randrange(3_600))
        kind = generator.choice(["page_view", "email_open", "email_click", "cart_add"])
        rows.setdefault(tenant, []).append(
            [f"{name}-{number}", email, kind, happened_at.isoformat()]
        )
    for tenant, lines in rows.items():
        folder = landing / tenant / "touchpoints"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "email", "type", "occurred_at"])
            writer.writerows(lines)
    return sum(len(lines) for lines in rows.values())


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--customers", type=int, default=100_000)
    arguments.add_argument("--home", type=Path, help="keep the warehouse in this folder")
    options = arguments.parse_args()
    swapped_before = pages_swapped_out()
    with warehouse(options.home) as settings:
        database = engine(settings)
        migrate(database)
        landing = Path(settings.landing)
        started = time.perf_counter()
        sample = generate(landing, options.customers, SEED)
        sample_seconds = time.perf_counter() - started
        started = time.perf_counter()
        loaded = load_landing(database, settings).to_dict()["totals"]
        load_seconds = time.perf_counter() - started

        as_of = datetime.fromisoformat(sample.as_of)
        hour = timedelta(hours=1)
        measured = [
            measure(database, settings, "everything", as_of),
            measure(database, settings, "nothing new, the same instant", as_of),
            measure(database, settings, "nothing new, an hour later", as_of + hour),
        ]
        people = known_people(database)
        generator = random.Random(SEED)
        count = int(SHARE * touchpoint_rows(sample.rows))
        few = generator.sample(people, int(SHARE * len(people)))
        for name, chosen in (
            ("new rows for 1 % of the customers", few),
            ("1 % new rows for anybody", people),
        ):
            as_of += 2 * hour
            new = (generator.choice(chosen) for _ in range(count))
            write_touchpoints(landing, f"new-{len(chosen)}", new, as_of, generator)
            load_landing(database, settings)
            measured.append(measure(database, settings, name, as_of))
        database.dispose()
    orders = sum(count for (_, source), count in sample.rows.items() if source.endswith("_orders"))
    text = f"""# Builds

`bench/build/run.py`: {options.customers:,} customers, {orders:,} order rows,
{touchpoint_rows(sample.rows):,} touchpoint rows, into an embedded PostgreSQL. Pages swapped out:
{pages_swapped_out() - swapped_before}.

Making the sample files took {sample_seconds:.1f} s, loading {loaded["rows_read"]:,} rows
{load_seconds:.1f} s.

{describe(measured)}
"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


def touchpoint_rows(rows: Mapping[tuple[str, str], int]) -> int:
    """How many touchpoints a sample holds."""
    return sum(count for (_, source), count in rows.items() if source == "touchpoints")


@contextmanager
def warehouse(home: Path | None) -> Iterator[Settings]:
    """A running server of its own, thrown away unless a home is named."""
    kept = home is not None
    folder = home or Path(tempfile.mkdtemp(prefix="journey-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    settings = Settings(home=folder / "home", database_url=None)
    server = EmbeddedServer(settings)
    server.start()
    try:
        yield settings
    finally:
        if not kept:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)


def describe(measured: list[Measured]) -> str:
    """The tables of the result."""
    whole, *partial = measured
    lines = [
        "The database counts what its statements take, those of the tests included. A build also",
        "starts and writes SQL. Four threads share two cores, so the seconds of statements, models",
        "and tests add up to more than those of the build.",
        "",
        "| build | customers derived | statements | of everything | models | tests | build "
        "| of everything |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.name} | {one.touched:,} | {one.database_seconds:.1f} s "
        f"| {one.database_seconds / whole.database_seconds:.1%} "
        f"| {sum(one.models.values()):.1f} s | {one.tests_seconds:.1f} s "
        f"| {one.report.seconds:.1f} s | {one.report.seconds / whole.report.seconds:.1%} |"
        for one in measured
    ]
    header = " | ".join(one.name for one in measured)
    lines += ["", f"| model ({SHOWN_SECONDS} s or more) | {header} |"]
    lines.append("|---|" + "---:|" * len(measured))
    for name, seconds in sorted(whole.models.items(), key=lambda item: -item[1]):
        others = [one.models.get(name, 0.0) for one in partial]
        if max(seconds, *others) >= SHOWN_SECONDS:
            cells = " | ".join(f"{value:.1f}" for value in (seconds, *others))
            lines.append(f"| `{name}` | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
