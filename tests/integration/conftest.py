"""Warehouses of drawn worlds, for the tests that hold marts against a plain reading."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.reference.histories import World
from tests.reference.warehouse import Project, Warehouse

collect_ignore = [] if os.environ.get("JOURNEY_LONG") == "1" else ["test_killed_dagster.py"]
"""Proofs of which one case takes minutes, for they start Dagster: `make test-long` has them."""

Worlds = Callable[[list[World]], AbstractContextManager[Warehouse]]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the dbt project for drawn tenants; parsed once for all tests that use it."""
    return Project(tmp_path_factory.mktemp("project") / "root")


@pytest.fixture(scope="module")
def worlds_warehouse(
    project: Project, fresh_databases: Callable[[], AbstractContextManager[str]]
) -> Iterator[Worlds]:
    """Opens an empty warehouse for worlds; one at a time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        project.point_at(monkeypatch)

        @contextmanager
        def opened(worlds: list[World]) -> Iterator[Warehouse]:
            with fresh_databases() as database_url:
                yield project.warehouse(database_url, worlds)

        yield opened
