"""The sample's files: the bytes, the shape, the known mistakes."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.sample import generate as module
from orchestration.sample.generate import SampleError, SampleReport, generate
from orchestration.sample.world import SOURCES, SOURCES_BY_TENANT

from .plain_reading import contracts, faults, good_rows, lines, rows


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_same_arguments_give_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    """Prevents a demo whose second run finds changed files and loads everything again."""
    for name in ("a", "b"):
        generate(tmp_path / name / "landing", 200, seed=3, file_format=file_format)
    first, second = _hashes(tmp_path / "a"), _hashes(tmp_path / "b")
    assert first == second
    assert any(name.endswith(f"2025-04.{file_format}") for name in first)


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    """Prevents a seed that is taken and then ignored."""
    for seed in (3, 4):
        generate(tmp_path / str(seed) / "landing", 200, seed=seed)
    name = "landing/aurora/leads/2025-h2.csv"
    assert _hashes(tmp_path / "3")[name] != _hashes(tmp_path / "4")[name]


def test_every_source_has_a_tenant_that_sends_it(landing: Path) -> None:
    """Prevents a raw table that the demo leaves empty without anybody noticing."""
    found = {
        tenant.name: sorted(source.name for source in tenant.iterdir())
        for tenant in landing.iterdir()
    }
    assert found == {tenant: sorted(names) for tenant, names in SOURCES_BY_TENANT.items()}
    assert {name for names in found.values() for name in names} == set(contracts())
    for tenant, names in SOURCES_BY_TENANT.items():
        for source in names:
            assert good_rows(landing, tenant, source), f"{tenant}/{source}"


def test_columns_are_those_of_the_contracts(landing: Path) -> None:
    """Prevents a column that the loader ignores or never finds."""
    assert {name: set(source.columns) for name, source in SOURCES.items()} == {
        name: set(columns) for name, columns in contracts().items()
    }
    for path in landing.glob("*/*/*"):
        columns = SOURCES[path.parent.name].columns
        if path.suffix == ".csv":
            assert tuple(next(csv.reader(lines(path)[:1]))) == columns, path
        else:
            for _, row in rows(path):
                assert isinstance(row, str) or set(row) <= set(columns), path
    for tenant, source in (("aurora", "shopify_orders"), ("bluegum", "humanitix_tickets")):
        complete = max(good_rows(landing, tenant, source), key=len)
        assert set(complete) == set(SOURCES[source].columns)


def test_the_list_of_dirty_rows_is_exact(sample: SampleReport, landing: Path) -> None:
    """Prevents a broken row that nobody knows of, and a known one that is in fact sound."""
    found = set()
    for path in landing.glob("*/*/*"):
        name = path.relative_to(landing).as_posix()
        for line, row in rows(path):
            wrong = [("", row)] if isinstance(row, str) else faults(path.parent.name, row)
            found.update((name, str(line), column, kind) for column, kind in wrong)
    with (sample.manifest / "dirty_rows.csv").open() as file:
        listed = [
            (row["file"], row["line"], row["reason_column"], row["kind"])
            for row in csv.DictReader(file)
        ]
    assert found == set(listed)
    assert len(listed) == len(set(listed))
    assert sample.dirty_rows == len({(file, line) for file, line, _, _ in listed})
    assert {kind for _, _, _, kind in listed} == {
        "missing",
        "bad_number",
        "bad_date",
        "bad_boolean",
        "bad_json",
        "not_allowed",
        "broken_line",
        "field_count",
    }


def test_dirty_rows_are_at_their_rows_in_parquet(tmp_path: Path) -> None:
    """Prevents a list of dirty rows that holds for CSV only."""
    report = generate(tmp_path / "landing", 50, seed=1, file_format="parquet")
    with (report.manifest / "dirty_rows.csv").open() as file:
        listed = {
            (row["file"], int(row["line"]), row["reason_column"], row["kind"])
            for row in csv.DictReader(file)
            if row["source"] == "touchpoints"
        }
    found = set()
    for path in report.directory.glob("*/touchpoints/*"):
        for line, row in enumerate(pq.read_table(path).to_pylist(), start=1):
            row["occurred_at"] = row["occurred_at"] and row["occurred_at"].isoformat()
            name = path.relative_to(report.directory).as_posix()
            found.update((name, line, *wrong) for wrong in faults("touchpoints", row))
    assert found == listed
    assert {kind for *_, kind in listed} == {"missing", "not_allowed"}


def test_parquet_columns_have_their_types(tmp_path: Path) -> None:
    """Prevents amounts as floats and times without a zone."""
    report = generate(tmp_path / "landing", 50, seed=1, file_format="parquet")
    schema = pq.read_schema(report.directory / "bluegum/touchpoints/2025-05.parquet")
    assert schema.field("value").type == pa.decimal128(12, 2)
    assert schema.field("occurred_at").type.tz == "UTC"
    assert schema.names == list(SOURCES["touchpoints"].columns)


def test_the_report_counts_the_rows_of_the_files(sample: SampleReport, landing: Path) -> None:
    """Prevents a report, and a sample.json, that promise rows which are not there."""
    for (tenant, source), count in sample.rows.items():
        found = sum(1 for path in (landing / tenant / source).iterdir() for _ in rows(path))
        assert found == count, f"{tenant}/{source}"
    facts = json.loads((sample.manifest / "sample.json").read_text())
    assert facts["as_of"] == "2026-07-01T00:00:00Z"
    assert facts["rows"]["aurora/leads"] == sample.rows["aurora", "leads"]
    assert sorted(facts["files"]) == sorted(_hashes(landing))


def test_a_new_sample_replaces_the_old_one(tmp_path: Path) -> None:
    """Prevents a folder with half of one sample and half of another."""
    generate(tmp_path / "landing", 30, seed=1, file_format="csv")
    report = generate(tmp_path / "landing", 20, seed=1, file_format="parquet")
    assert sorted(_hashes(report.directory)) == sorted(report.files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["landing", "landing.manifest"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """Prevents real landing files from being mixed with made-up ones."""
    (tmp_path / "landing" / "acme").mkdir(parents=True)
    with pytest.raises(SampleError, match="holds something that is not a sample"):
        generate(tmp_path / "landing", 50, seed=1)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["acme", "landing"]


def test_a_stopped_run_leaves_the_earlier_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents half-written files that a landing sensor would load."""
    generate(tmp_path / "landing", 20, seed=1)
    before = _hashes(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_shops", stop)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "landing", 30, seed=2)
    assert _hashes(tmp_path) == before


@pytest.mark.parametrize(("customers", "seed"), [(19, 1), (100, -1)])
def test_impossible_arguments_are_named(tmp_path: Path, customers: int, seed: int) -> None:
    """Prevents a traceback where a sentence would do."""
    with pytest.raises(SampleError, match=str(customers if customers < 20 else seed)):
        generate(tmp_path / "landing", customers, seed)


def test_progress_ends_with_everybody(tmp_path: Path) -> None:
    """Prevents a progress bar that stops short of the end."""
    calls: list[tuple[int, int]] = []
    generate(tmp_path / "landing", 100, 1, progress=lambda done, of: calls.append((done, of)))
    assert calls[-1] == (100, 100)
    assert calls == sorted(calls)
