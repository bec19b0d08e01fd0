"""dbt in this very process: parsed once, its manifest reused by every run until a file changes.

Starting `dbt` anew and parsing again costs more than the transformation of a small warehouse, and
another value of `--vars` alone would make dbt parse everything again. A run that is given a
manifest does neither.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
import sqlalchemy

from orchestration.dbt_overhead import overhead_spared
from orchestration.privacy.telling import HIDDEN, is_telling, without_values
from orchestration.seeds.check import check_seeds
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, SEEDS_DIR, Settings
from orchestration.warehouse.builds import Coverage
from orchestration.warehouse.database import engine
from orchestration.warehouse.errors import JourneyError
from orchestration.warehouse.storage import locked, make_folder, write_private

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

logger = logging.getLogger(__name__)

DBT_FOLDERS = (
    DBT_PROJECT_DIR,
    SEEDS_DIR,
    PROJECT_ROOT / "macros",
    PROJECT_ROOT / "tests" / "dbt",
)
DBT_SUFFIXES = (".sql", ".yml", ".yaml", ".csv", ".md")
DERIVING_SUFFIXES = (".sql", ".csv", ".yml")
RESULT_EVENTS = ("LogModelResult", "LogSeedResult", "LogSnapshotResult", "LogTestResult")
TABLES = ("seed", "model", "snapshot")
START_EVENT = "LogStartLine"
ONLY_WHOLE = ("--exclude-resource-type", "seed", "--exclude", "test_name:is_key")
"""Left out where little is derived: with other seeds all would be, and raw refuses a second key."""
FAILED_STATUSES = ("error", "fail", "runtime error")
CANCEL_EVERY_SECONDS = 0.2
EXAMPLES, EXAMPLE_TIMEOUT, EXAMPLE_VALUE_LENGTH = 3, "20s", 60


class TransformError(JourneyError):
    """dbt cannot start: the project does not parse, or the selection is wrong."""


class TransformFailed(JourneyError):
    """A model broke or an error-level test found rows; the message names each."""


@dataclass(frozen=True)
class NodeResult:
    """What became of one seed, model, snapshot or test."""

    unique_id: str
    name: str
    resource_type: str
    status: str
    seconds: float
    message: str
    compiled_path: str | None
    meaning: str = ""
    """What a row means that a test of our own returns: its first comment."""
    row_count: int | None = None
    """How many rows a test returned."""
    examples: tuple[str, ...] = ()
    """Some of those rows, without what names people."""

    @property
    def failed(self) -> bool:
        """Whether it broke, or is a test that found rows."""
        return self.status in FAILED_STATUSES

    def explain(self) -> str:
        """What happened and how to look closer."""
        words = f"{self.name}: {' '.join(self.message.split())}"
        if self.examples:
            rows = f"{self.row_count:,} row{'' if self.row_count == 1 else 's'}"
            words = f"{self.name}: {rows}, such as {'; '.join(self.examples)}"
        words = words.rstrip(".")
        if self.meaning:
            words += f". {self.meaning.rstrip('.')}"
        if self.status == "fail" and self.compiled_path:
            words += f". See the rows with: journey psql -f {self.compiled_path}"
        return words


@dataclass(frozen=True)
class TransformReport:
    """Every node that dbt ran or skipped, in the order in which they ended."""

    nodes: tuple[NodeResult, ...]
    seconds: float
    parse_seconds: float

    @property
    def failures(self) -> list[NodeResult]:
        """Models that broke and error-level tests that found rows."""
        return [node for node in self.nodes if node.failed]

    @property
    def skipped(self) -> list[NodeResult]:
        """Nodes that did not run because something before them failed."""
        return [node for node in self.nodes if node.status == "skipped"]

    @property
    def succeeded(self) -> bool:
        """Whether everything ran and every error-level test passed."""
        return not self.failures and not self.skipped

    def require_success(self) -> None:
        """Do nothing after a success.

        Raises:
            TransformFailed: something failed; the message names it, with the way to look at it.
        """
        if not self.succeeded:
            raise TransformFailed(self.explain())

    def to_dict(self) -> dict[str, Any]:
        """Seconds per seed and model, what became of the tests, and the failures in words."""
        tests = [node for node in self.nodes if node.resource_type == "test"]
        return {
            "seconds": round(self.seconds, 3),
            "parse_seconds": round(self.parse_seconds, 3),
            "seconds_per_model": {
                node.name: node.seconds for node in self.nodes if node.resource_type in TABLES
            },
            "tests": dict(sorted(Counter(test.status for test in tests).items())),
            "tests_seconds": round(sum(test.seconds for test in tests), 3),
            "failures": [node.explain() for node in self.failures],
            "skipped": len(self.skipped),
        }

    def explain(self) -> str:
        """The failures in words, one per line."""
        lines = [node.explain() for node in self.failures]
        if self.skipped:
            lines.append(f"{len(self.skipped)} nodes after them were skipped")
        return "\n".join(lines)


def transform(
    settings: Settings,
    as_of: datetime,
    *,
    since: Coverage | None = None,
    select: Sequence[str] = (),
    with_tests_of_selected: bool = True,
    full_refresh: bool = False,
) -> TransformReport:
    """Run `dbt build` (seeds, models, data tests; no unit tests) and wait for its end.

    The arguments are those of `transform_events`.
    """
    events = transform_events(
        settings,
        as_of,
        since=since,
        select=select,
        with_tests_of_selected=with_tests_of_selected,
        full_refresh=full_refresh,
    )
    while True:
        try:
            next(events)
        except StopIteration as end:
            report: TransformReport = end.value
            return report


def transform_events(
    settings: Settings,
    as_of: datetime,
    *,
    since: Coverage | None = None,
    select: Sequence[str] = (),
    with_tests_of_selected: bool = True,
    full_refresh: bool = False,
) -> Generator[dict[str, Any], None, TransformReport]:
    """Check the seeds, run `dbt build`, and yield dbt's own event for every node as it ends.

    When the caller stops (an interrupt, or the generator is closed), the queries under way are
    cancelled and dbt has ended before the call returns.

    Args:
        settings: where the warehouse is.
        as_of: the instant to describe.
        since: what the tables cover already, so that only what changed since is derived; nothing
            means that everything is.
        select: dbt selections; nothing means the whole project.
        with_tests_of_selected: also run the tests that hang on selected models.
        full_refresh: rebuild incremental models from nothing, where they allow it.

    Raises:
        SeedError: a seed cannot be used; no model was built.
        TransformError: the project does not parse, or the selection matches nothing.
    """
    start = time.perf_counter()
    check_seeds(SEEDS_DIR)
    manifest = load_manifest(settings)
    parse_seconds = time.perf_counter() - start
    variables: dict[str, Any] = {"as_of": _text(as_of)}
    if since is not None:
        variables |= {"since_load_id": since.load_id, "since_as_of": _text(since.as_of)}
    arguments = [
        "build",
        "--exclude-resource-type",
        "unit_test",
        *(ONLY_WHOLE if since is not None else ()),
        "--vars",
        json.dumps(variables),
        "--no-write-json",
        *_common_arguments(settings),
    ]
    if select:
        arguments += ["--select", *select]
        arguments += ["--indirect-selection", "eager" if with_tests_of_selected else "empty"]
    if full_refresh:
        arguments.append("--full-refresh")

    with dbt_environment(settings):
        run = _DbtThread(arguments, manifest)
        yield from run.events()
    nodes = _with_examples(settings, _node_results(run.outcome))
    if not nodes:
        raise _nothing_matches(" ".join(select))
    return TransformReport(nodes, time.perf_counter() - start, parse_seconds)


def project_fingerprint() -> str:
    """A hash of the SQL, macros and seeds: tables made by other ones are no ground to build on."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for folder, path in sorted(_project_files()):
        if path.suffix in DERIVING_SUFFIXES:
            name = f"{folder.name}/{path.relative_to(folder)}"
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def list_tables(settings: Settings, select: str) -> set[str]:
    """The seeds, models and snapshots that a dbt selection means, and what they are made from.

    The intermediate tables hold what the last build derived, which may be little: whoever builds a
    model needs them anew.

    Raises:
        TransformError: the project does not parse, or the selection is wrong or matches nothing.
    """
    from dbt.cli.main import dbtRunner

    manifest = load_manifest(settings)
    arguments = ["list", "--select", select, "--output", "json", "--output-keys", "unique_id"]
    for resource_type in TABLES:
        arguments += ["--resource-type", resource_type]
    with dbt_environment(settings):
        outcome = dbtRunner(manifest).invoke([*arguments, *_common_arguments(settings)])
    if outcome.exception is not None:
        raise TransformError(f"dbt cannot select {select!r}: {outcome.exception}")
    lines = cast("list[str]", outcome.result or [])
    found = {str(json.loads(line)["unique_id"]) for line in lines}
    if not found:
        raise _nothing_matches(select)
    waiting = list(found)
    while waiting:
        for parent in manifest.nodes[waiting.pop()].depends_on_nodes:
            if parent in manifest.nodes and parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def load_manifest(settings: Settings) -> Manifest:
    """The parsed project as dbt keeps it in memory, parsed anew when a file changed.

    Raises:
        TransformError: the project does not parse.
    """
    from dbt.contracts.graph.manifest import Manifest

    make_folder(_target(settings))
    with locked(_target(settings) / "parse.lock", "parsing the dbt project"):
        _parse_if_changed(settings)
        manifest = Manifest.from_msgpack((_target(settings) / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]
    return manifest


def load_manifest_json(settings: Settings) -> dict[str, Any]:
    """The parsed project as in `manifest.json`, parsed anew when a file changed.

    Raises:
        TransformError: the project does not parse.
    """
    make_folder(_target(settings))
    with locked(_target(settings) / "parse.lock", "parsing the dbt project"):
        _parse_if_changed(settings)
        manifest: dict[str, Any] = json.loads((_target(settings) / "manifest.json").read_bytes())
    return manifest


def table_names(manifest: Mapping[str, Any]) -> list[str]:
    """The seeds and models of a manifest that stand between builds, as schema.name."""
    return sorted(
        f"{node['schema']}.{node['alias']}"
        for node in manifest["nodes"].values()
        if node["resource_type"] in TABLES and node["config"]["materialized"] != "ephemeral"
    )


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """What dbt runs in: the environment holds what `profiles.yml` reads, and dbt is spared what it
    does for nobody. All is as before afterwards."""
    added = {**settings.dbt_environment(), "DO_NOT_TRACK": "1"}
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        with overhead_spared():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _DbtThread:
    """dbt in a thread of its own, so that its events can be passed on while it works."""

    def __init__(self, arguments: list[str], manifest: Manifest) -> None:
        self.outcome: Any = None
        self._arguments = arguments
        self._manifest = manifest
        self._is_stopping = False
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dbt", daemon=True)

    def events(self) -> Iterator[dict[str, Any]]:
        self._thread.start()
        try:
            while (event := self._queue.get()) is not None:
                yield event
        finally:
            self._end()

    def _run(self) -> None:
        from dbt.cli.main import dbtRunner

        try:
            runner = dbtRunner(manifest=self._manifest, callbacks=[self._take])
            self.outcome = runner.invoke(self._arguments)
        finally:
            self._queue.put(None)

    def _take(self, event: Any) -> None:
        if self._is_stopping and event.info.name == START_EVENT:
            raise TransformError("stopped before it began")
        if event.info.name not in RESULT_EVENTS:
            return
        from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

        told: dict[str, Any] = MessageToDict(event, preserving_proto_field_name=True)
        logger.info("%s", _progress_line(told["data"]))
        self._queue.put(told)

    def _end(self) -> None:
        from dbt.adapters.factory import get_adapter_by_type

        self._thread.join(CANCEL_EVERY_SECONDS)
        while self._thread.is_alive():
            self._is_stopping = True
            adapter = get_adapter_by_type("postgres")  # type: ignore[no-untyped-call]
            with adapter.connection_named("cancel"):
                adapter.cancel_open_connections()
            self._thread.join(CANCEL_EVERY_SECONDS)


def _nothing_matches(select: str) -> TransformError:
    return TransformError(
        f"The selection {select!r} matches nothing in {DBT_PROJECT_DIR}. Name a model, or use "
        "dbt's notation, like customers+ or path:models/marts"
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def _progress_line(data: Mapping[str, Any]) -> str:
    total = data.get("total") or data.get("num_models")
    name = data["node_info"]["unique_id"].split(".")[2]
    seconds = data.get("execution_time", 0.0)
    return f"{data.get('index')}/{total} {data['status'].split()[0].lower()} {name} {seconds:.1f} s"


def _node_results(outcome: Any) -> tuple[NodeResult, ...]:
    if outcome.exception is not None:
        raise TransformError(f"dbt cannot run: {without_values(str(outcome.exception))}")
    return tuple(_node_result(result) for result in outcome.result.results)


def _node_result(result: Any) -> NodeResult:
    node = result.node
    compiled_path = getattr(node, "compiled_path", None)
    # only the tests that are files of their own open with a comment
    is_singular = str(node.resource_type) == "test" and not hasattr(node, "test_metadata")
    return NodeResult(
        unique_id=node.unique_id,
        name=node.name,
        resource_type=str(node.resource_type),
        status=str(result.status),
        seconds=round(result.execution_time, 3),
        message=without_values(result.message or ""),
        compiled_path=str(compiled_path) if compiled_path else None,
        meaning=_first_comment(node.raw_code) if is_singular else "",
        row_count=result.failures,
    )


def _first_comment(sql: str) -> str:
    lines = [line.strip() for line in sql.strip().splitlines()]
    return " ".join(
        line.lstrip("- ") for line in itertools.takewhile(lambda line: line.startswith("--"), lines)
    )


def _with_examples(settings: Settings, nodes: tuple[NodeResult, ...]) -> tuple[NodeResult, ...]:
    if not any(_wants_examples(node) for node in nodes):
        return nodes
    database = engine(settings)
    try:
        return tuple(
            replace(node, examples=_examples(database, node)) if _wants_examples(node) else node
            for node in nodes
        )
    finally:
        database.dispose()


def _wants_examples(node: NodeResult) -> bool:
    return node.status == "fail" and bool(node.meaning and node.compiled_path)


def _examples(database: sqlalchemy.Engine, node: NodeResult) -> tuple[str, ...]:
    """Some rows of a failed test; none when they cannot be had: the failure itself comes first."""
    try:
        query = Path(str(node.compiled_path)).read_text()
        with closing(database.raw_connection()) as pooled:
            cursor = pooled.cursor()
            cursor.execute("set transaction read only")
            cursor.execute(f"set local statement_timeout = '{EXAMPLE_TIMEOUT}'")
            cursor.execute(query)
            names = [column[0] for column in cursor.description]
            return tuple(
                ", ".join(
                    f"{name}={HIDDEN if is_telling(name) else str(value)[:EXAMPLE_VALUE_LENGTH]}"
                    for name, value in zip(names, row, strict=True)
                )
                for row in cursor.fetchmany(EXAMPLES)
            )
    except (OSError, JourneyError, sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
        logger.warning("The rows of %s cannot be shown: %s", node.name, error)
        return ()


def _parse_if_changed(settings: Settings) -> None:
    target = _target(settings)
    stamp = json.dumps({"files": _state_of_files(), "address": _address(settings)})
    stamp_path = target / "parsed.json"
    made = ("manifest.json", "partial_parse.msgpack", "parsed.json")
    if all((target / name).exists() for name in made) and stamp_path.read_text() == stamp:
        return
    stamp_path.unlink(missing_ok=True)
    from dbt.cli.main import dbtRunner

    with dbt_environment(settings):
        outcome = dbtRunner().invoke(["parse", *_common_arguments(settings)])
    if outcome.exception is not None or not outcome.success:
        # a seed that dbt cannot even decode is told better by its file and line
        check_seeds(SEEDS_DIR)
        raise TransformError(
            f"The dbt project in {DBT_PROJECT_DIR} does not parse: {outcome.exception}"
        ) from outcome.exception
    write_private(stamp_path, stamp)


def _common_arguments(settings: Settings) -> list[str]:
    return [
        "--project-dir",
        str(DBT_PROJECT_DIR),
        "--profiles-dir",
        str(DBT_PROJECT_DIR),
        "--target-path",
        str(_target(settings)),
        "--log-path",
        str(settings.logs),
        "--log-level",
        "none",
        # its errors quote rows
        "--log-level-file",
        "none",
        "--no-print",
        "--no-use-colors",
        "--no-send-anonymous-usage-stats",
    ]


def _target(settings: Settings) -> Path:
    return settings.home / "dbt"


def _address(settings: Settings) -> Mapping[str, str]:
    known = settings.dbt_environment()
    return {name: known[name] for name in ("JOURNEY_PG_HOST", "JOURNEY_PG_DBNAME")}


def _state_of_files() -> str:
    digest = hashlib.sha256(version("dbt-core").encode())
    for _, path in sorted(_project_files()):
        state = path.stat()
        digest.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\n".encode())
    return digest.hexdigest()


def _project_files() -> Iterable[tuple[Path, Path]]:
    for folder in DBT_FOLDERS:
        for path in folder.rglob("*"):
            if path.suffix in DBT_SUFFIXES and "target" not in path.parts:
                yield folder, path
