"""The unit tests that stand beside the models; scheduled builds leave them out."""

from __future__ import annotations

from dbt.cli.main import dbtRunner

from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.transform import dbt_environment, load_manifest


def test_every_dbt_unit_test_passes(built: Settings) -> None:
    """Prevents a rule whose boundary moved without anyone noticing: each unit test names one."""
    manifest = load_manifest(built)
    with dbt_environment(built):
        outcome = dbtRunner(manifest).invoke(
            [
                *("test", "--select", "test_type:unit"),
                *("--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)),
                *("--target-path", str(built.home / "dbt"), "--log-path", str(built.logs)),
                *("--log-level", "none", "--no-print", "--no-send-anonymous-usage-stats"),
            ]
        )
    assert outcome.exception is None
    # what runs at the end of every command of dbt is a result too
    results = {
        one.node.name: one
        for one in outcome.result.results
        if one.node.resource_type == "unit_test"
    }
    assert set(results) == {one.name for one in manifest.unit_tests.values()}
    failed = [f"{name}: {one.message}" for name, one in results.items() if one.status != "pass"]
    assert not failed, "\n".join(failed)
