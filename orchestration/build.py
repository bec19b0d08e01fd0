"""One build: landing files to marts to outputs, by the very job that the schedules run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.seeds.files import SeedError
from orchestration.settings import Settings
from orchestration.warehouse.builds import Build, build_of_run, building, locked, parse_as_of
from orchestration.warehouse.database import engine, known_passwords, migrate
from orchestration.warehouse.errors import DatabaseUnavailable, JourneyError, StorageError

PROGRESS_LOGGER = "orchestration"
STEPS = ("load", "check_raw", "transform", "check_sync")


class BuildError(JourneyError):
    """The run ended before it could record a build."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did, and where its time went."""

    build: Build
    succeeded: bool
    """The build and the outputs' dry run."""
    seconds: float
    seconds_per_step: dict[str, float]
    """`start` is Python, Dagster and the lock; `finish` the outputs and Dagster's records."""
    written: dict[str, int] = field(default_factory=dict)
    """Messages per output."""
    errors: tuple[str, ...] = ()
    """What failed, in words, with the way to look at it."""

    @property
    def load(self) -> dict[str, Any]:
        """The load's report as plain values."""
        return dict(self.build.details.get("load", {}))

    @property
    def erasures(self) -> list[dict[str, Any]]:
        """The receipts of the requests to be forgotten that this build carried out."""
        return list(self.build.details.get("erasures", []))

    @property
    def left_out(self) -> list[str]:
        """Files that were refused and things that lie where they do not belong, with reasons."""
        return [
            *(f"{one['file']}: refused: {one['error']}" for one in self.load.get("refused", [])),
            *(f"{one['file']}: {one['problem']}" for one in self.load.get("problems", [])),
        ]

    @property
    def seconds_per_model(self) -> dict[str, float]:
        """Seconds per seed and model, the slowest first."""
        seconds: dict[str, float] = self.build.details.get("transform", {}).get(
            "seconds_per_model", {}
        )
        return dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0])))

    @property
    def tests(self) -> dict[str, int]:
        """How many tests ended in each status."""
        return dict(self.build.details.get("transform", {}).get("tests", {}))

    @property
    def quality(self) -> dict[str, Any]:
        """What the checks before and after the transformation found, by `raw` and `sync`."""
        return dict(self.build.details.get("quality", {}))

    @property
    def warnings(self) -> list[str]:
        """What is not as expected and stops nothing, in words."""
        return [
            words
            for found in self.quality.values()
            for words in (*found["warnings"], *found["late"])
        ]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "build_id": str(self.build.build_id),
            "run_id": self.build.details.get("run_id"),
            "as_of": self.build.as_of.isoformat(),
            "verdict": self.build.verdict,
            "scope": self.build.scope,
            "succeeded": self.succeeded,
            "errors": list(self.errors),
            "seconds": round(self.seconds, 1),
            "seconds_per_step": self.seconds_per_step,
            "seconds_per_model": self.seconds_per_model,
            "tests": self.tests,
            "quality": self.quality,
            "load": self.load,
            "written": self.written,
        }


def build(
    settings: Settings,
    as_of: str | datetime | None = None,
    *,
    full_refresh: bool = False,
    select: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> BuildReport:
    """Load, transform, check and describe the outputs; the run shows in the Dagster UI.

    Args:
        settings: where the warehouse is.
        as_of: the instant to describe, with its offset; the start of the run by default.
        full_refresh: rebuild incremental models from nothing, where they allow it.
        select: a dbt selection for the transformation. Outputs are left out then, and nothing is
            delivered until the next whole build.
        progress: told each thing that was done, in a line.

    Raises:
        AsOfError: `as_of` is not an instant.
        BuildRunning: another build holds the warehouse.
        SeedError: a seed is not even text; every other fault of a seed is in the report.
        TransformError: the dbt project does not parse, or the selection matches nothing.
        DatabaseUnavailable: the database cannot be reached.
        StorageError: the home cannot be written, or its disk is full.
        KeyboardInterrupt: the build was interrupted, and is recorded as such.
    """
    start = time.perf_counter()
    instant = parse_as_of(as_of) if isinstance(as_of, str) else as_of
    database = engine(settings)
    try:
        migrate(database, known_passwords(settings))
        with locked(database):
            pass
        from orchestration.defs.run import run_job

        started = time.time() - (time.perf_counter() - start)
        with _lost_to_a_full_disk(settings):
            try:
                with _told(progress):
                    outcome = run_job(settings, instant, full_refresh=full_refresh, select=select)
            except SeedError:
                # dbt cannot even read the project, so that there is no run to record the failure
                with building(database, instant, {"full_refresh": full_refresh}):
                    raise
            with database.connect() as connection:
                record = build_of_run(connection, outcome.run_id)
    finally:
        database.dispose()
    if record is None:
        raise BuildError(outcome.errors.get("", "The run ended before the build began."))
    seconds = time.perf_counter() - start
    steps: dict[str, float] = dict(record.details.get("seconds_per_step", {}))
    until_build = record.started_at.timestamp() - started
    return BuildReport(
        build=record,
        succeeded=outcome.succeeded,
        seconds=seconds,
        seconds_per_step={
            "start": round(until_build, 3),
            **{name: steps[name] for name in STEPS if name in steps},
            "finish": round(seconds - until_build - sum(steps.values()), 3),
        },
        written=outcome.written,
        errors=(*outcome.errors.values(), *([] if outcome.succeeded else _disk_trouble(settings))),
    )


@contextmanager
def _lost_to_a_full_disk(settings: Settings) -> Iterator[None]:
    """Name the disk when it is what took the embedded server down."""
    try:
        yield
    except DatabaseUnavailable as error:
        trouble = _disk_trouble(settings) if settings.uses_embedded_database else []
        if trouble:
            raise StorageError(*trouble) from error
        raise


def _disk_trouble(settings: Settings) -> list[str]:
    """The home's disk in words, when it is full or cannot be written: what failed did so there."""
    from orchestration.defs.run import require_room_for_a_build

    try:
        require_room_for_a_build(settings)
    except StorageError as error:
        return [str(error)]
    return []


@contextmanager
def _told(progress: Callable[[str], None] | None) -> Iterator[None]:
    """Pass on what our modules log while they work."""
    if progress is None:
        yield
        return
    handler = _Teller(progress)
    logger = logging.getLogger(PROGRESS_LOGGER)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Teller(logging.Handler):
    def __init__(self, progress: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress(record.getMessage())
