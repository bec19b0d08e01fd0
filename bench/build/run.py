"""How long does a full build take, model by model, and does it fit in memory?

Run it with `.venv/bin/python bench/build/run.py [--customers N]`. It makes sample files, starts a
server of its own, loads, builds twice (the second build has nothing new), and writes
`bench/results/build.md`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from orchestration.ingest.load import load_landing
from orchestration.sample.generate import generate
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.transform import TransformReport, transform
from orchestration.warehouse.database import engine, migrate
from orchestration.warehouse.postgres import EmbeddedServer

RESULT = PROJECT_ROOT / "bench" / "results" / "build.md"
SEED = 7


def pages_swapped_out() -> int:
    """Pages the machine has written to swap since it started."""
    counters = dict(
        line.split() for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    )
    return int(counters["pswpout"])


def seconds_per_model(report: TransformReport) -> Mapping[str, float]:
    """Seconds of each seed and model, without the tests."""
    return {node.name: node.seconds for node in report.nodes if node.resource_type != "test"}


def main() -> None:
    """Measure, print and write the result."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--customers", type=int, default=100_000)
    options = arguments.parse_args()
    home = Path(tempfile.mkdtemp(prefix="journey-bench-"))
    home.chmod(0o711)
    settings = Settings(home=home / "home", database_url=None)
    server = EmbeddedServer(settings)
    swapped_before = pages_swapped_out()
    try:
        server.start()
        database = engine(settings)
        migrate(database)
        started = time.perf_counter()
        sample = generate(Path(settings.landing), options.customers, SEED)
        sample_seconds = time.perf_counter() - started
        started = time.perf_counter()
        loaded = load_landing(database, settings).to_dict()["totals"]
        load_seconds = time.perf_counter() - started
        as_of = datetime.fromisoformat(sample.as_of)
        reports = [transform(settings, as_of) for _ in range(2)]
        for report in reports:
            report.require_success()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    swapped = pages_swapped_out() - swapped_before
    first, again = (seconds_per_model(report) for report in reports)
    tests = [node for node in reports[0].nodes if node.resource_type == "test"]
    rows = {
        what: sum(count for (_, source), count in sample.rows.items() if source.endswith(ending))
        for what, ending in (("orders", "_orders"), ("touchpoints", "touchpoints"))
    }
    models = "\n".join(
        f"| `{name}` | {seconds:.1f} | {again[name]:.1f} |"
        for name, seconds in sorted(first.items(), key=lambda item: -item[1])
        if seconds >= 0.5
    )
    text = f"""# A full build

`bench/build/run.py`: {options.customers:,} customers, {rows["orders"]:,} order rows,
{rows["touchpoints"]:,} touchpoint rows, into an embedded PostgreSQL. Pages swapped out: {swapped}.

| step | seconds |
|---|---:|
| make the sample files | {sample_seconds:.1f} |
| load {loaded["rows_read"]:,} rows | {load_seconds:.1f} |
| full build with {len(tests)} data tests, parsing included | {reports[0].seconds:.1f} |
| the same build again, nothing new | {reports[1].seconds:.1f} |

Four threads share the work, so the seconds of the models add up to more than those of the build;
its tests add up to {sum(node.seconds for node in tests):.1f}.

| model (0.5 s or more) | full | again |
|---|---:|---:|
{models}
"""
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
