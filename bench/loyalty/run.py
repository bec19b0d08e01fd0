"""How long do the points of a large programme take, from nothing and with a hundredth of it new?

Run it with `.venv/bin/python bench/loyalty/run.py [--members N]`. Every member joins and places
four orders, so there are five movements each. It starts a server of its own, builds, and starts the
server again, so that nothing of the first build is still being written. Then it lets a hundredth of
the members order once more and builds again, five times, each time another hundredth, and writes
`bench/results/loyalty.md`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy

from orchestration.ingest.load import load_landing
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.transform import (
    TransformReport,
    list_tables,
    project_fingerprint,
    transform,
    transform_events,
)
from orchestration.warehouse.builds import Coverage, building
from orchestration.warehouse.database import engine, migrate
from orchestration.warehouse.postgres import EmbeddedServer

RESULT = PROJECT_ROOT / "bench" / "results" / "loyalty.md"
TENANT, ORDERS_EACH, NEW_SHARE, ROUNDS = "aurora", 4, 100, 5
BEGINNING, AS_OF = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
COLUMNS = "id,shop_id,slug,email,total_price,currency,status,created_at"
LEDGER = ("path:models/intermediate/loyalty", "path:models/marts/loyalty")
LEDGER_NAMES = ("int_loyalty__", "points_", "loyalty_", "reward_", "referral")


def write_orders(landing: Path, name: str, members: range, each: int) -> None:
    """Paid orders of these members; no two have the same id."""
    draw = random.Random(name)
    folder = landing / TENANT / "shop_orders"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="\n") as written:
        written.write(COLUMNS + "\n")
        for member in members:
            for number in range(each):
                at = BEGINNING + timedelta(minutes=draw.randrange(1_300_000))
                price = f"{draw.randrange(500, 20_000) / 100:.2f}"
                written.write(
                    f"{name}-{member}-{number},shop,page,member{member}@example.com,{price},EUR,"
                    f"paid,{at.isoformat()}\n"
                )


@dataclass(frozen=True)
class Measured:
    """How long the ledger took."""

    seconds: float
    """From the start of dbt to its end."""
    seconds_of_models: float
    """From the start of the first model to the end of the last."""
    report: TransformReport


def build(settings: Settings, database: sqlalchemy.Engine, as_of: datetime) -> Measured:
    """Load, and derive first what the ledger is made from, then the ledger by itself.

    Partly or wholly as a real build would, without the tests of the data.
    """
    needed = list_tables(settings, " ".join(LEDGER))
    ledger = {
        table
        for table in needed
        if table.startswith("model.") and table.split(".")[-1].startswith(LEDGER_NAMES)
    }
    with building(database, as_of) as opened:
        load_landing(database, settings)
        since = opened.coverage_before(project_fingerprint(), [])
        run = partial(transform, settings, as_of, since=since, with_tests_of_selected=False)
        run(select=names_of(needed - ledger)).require_success()
        measured = measure(settings, as_of, since, names_of(ledger))
        # the next build reads some marts of this one
        run(select=names_of(list_tables(settings, "path:models") - needed)).require_success()
        opened.succeed("whole")
    return measured


def measure(
    settings: Settings, as_of: datetime, since: Coverage | None, models: list[str]
) -> Measured:
    """Derive these models, and see when each of them ends."""
    start = time.perf_counter()
    events = transform_events(
        settings, as_of, since=since, select=models, with_tests_of_selected=False
    )
    ends, seconds_of_first = [], 0.0
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            report: TransformReport = end.value
            break
        if event["data"]["node_info"]["resource_type"] == "model":
            seconds_of_first = seconds_of_first or event["data"]["execution_time"]
            ends.append(time.perf_counter())
    report.require_success()
    seconds_of_models = ends[-1] - ends[0] + seconds_of_first
    return Measured(time.perf_counter() - start, seconds_of_models, report)


def names_of(tables: set[str]) -> list[str]:
    """The names of nodes, as a selection of dbt."""
    return sorted(table.split(".")[-1] for table in tables)


def seconds_of(report: TransformReport) -> dict[str, float]:
    """Seconds of each model."""
    return {node.name: node.seconds for node in report.nodes}


def line(name: str, first: float, again: list[float]) -> str:
    """A line of the table of results."""
    each = ", ".join(f"{seconds:.1f}" for seconds in again)
    return f"| {name} | {first:.1f} | {statistics.median(again):.1f} | {each} |"


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, default=200_000)
    members = arguments.parse_args().members
    home = Path(tempfile.mkdtemp(prefix="journey-bench-"))
    home.chmod(0o711)
    settings = Settings(home=home / "home", database_url=None)
    landing = Path(settings.landing)
    server = EmbeddedServer(settings)
    try:
        server.start()
        database = engine(settings)
        migrate(database)
        write_orders(landing, "all", range(members), ORDERS_EACH)
        whole = build(settings, database, AS_OF)
        database.dispose()
        server.stop()
        server.start()
        rounds = []
        few = members // NEW_SHARE
        for number in range(ROUNDS):
            write_orders(landing, f"new-{number}", range(number * few, (number + 1) * few), 1)
            rounds.append(build(settings, database, AS_OF + timedelta(hours=number + 1)))
        with database.connect() as connection:
            movements = connection.exec_driver_sql(
                "select count(*) from marts.points_transactions where points > 0"
            ).scalar_one()
        database.dispose()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    first = seconds_of(whole.report)
    again = [seconds_of(measured.report) for measured in rounds]
    models = "\n".join(
        line(f"`{name}`", seconds, [models[name] for models in again])
        for name, seconds in sorted(first.items(), key=lambda item: -item[1])
    )
    text = f"""# The points of a programme

`bench/loyalty/run.py`: {members:,} members, {movements:,} movements that give points in the end.
After the first build the server is started again; then a hundredth of the members order once more,
five times, each time another hundredth. What the ledger is made from was derived before. Four
threads share the work on two cores, so the seconds of the models add up to more than they take
together.

| models of the ledger, seconds | from nothing | a hundredth new, median | and each time |
|---|---:|---:|---|
{line("from the start of dbt to its end", whole.seconds, [one.seconds for one in rounds])}
{
        line(
            "from the start of the first to the end of the last",
            whole.seconds_of_models,
            [one.seconds_of_models for one in rounds],
        )
    }
{line("added up", sum(first.values()), [sum(models.values()) for models in again])}
{models}
"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
