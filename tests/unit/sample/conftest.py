"""One small sample for all tests of the generator."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.sample.generate import SampleReport, generate

CUSTOMERS = 1_000


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return generate(tmp_path_factory.mktemp("sample") / "landing", CUSTOMERS, seed=7)


@pytest.fixture(scope="session")
def landing(sample: SampleReport) -> Path:
    return sample.directory
