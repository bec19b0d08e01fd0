"""Dagster's event log in SQLite, without its waiting for the disk.

A run writes some four events per model and test. Dagster's own class opens, commits, syncs and
closes two databases for each, which takes longer than the transformation of a small warehouse.
This one keeps the index and the file of one run open (a crash of the machine loses the last events
of the index but never breaks it), and does not sync the file of a run. `dagster.yaml` names it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import NullPool, StaticPool

BUSY_TIMEOUT_SECONDS = 30


class EventLog(SqliteEventLogStorage):
    """The same files as Dagster's own class, opened in another manner."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: dict[str, sqlalchemy.Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Make it from its entry in `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(self._engine(shard, NullPool, "normal"))
                self._initialized_dbs.add(shard)
            with self._opened(shard).begin() as connection:
                yield connection

    def wipe(self) -> None:
        """Remove the events of all runs, and their files."""
        self._close(*self._open)
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        self._close(*self._open)
        super().dispose()

    def _opened(self, shard: str) -> sqlalchemy.Engine:
        """The engine of the index or a run; that of another run is closed."""
        if shard not in self._open:
            is_index = shard == INDEX_SHARD_NAME
            if not is_index:
                self._close(*self._open.keys() - {INDEX_SHARD_NAME})
            self._open[shard] = self._engine(shard, StaticPool, "normal" if is_index else "off")
        return self._open[shard]

    def _close(self, *shards: str) -> None:
        for shard in shards:
            self._open.pop(shard).dispose()

    def _engine(
        self, shard: str, pool: type[sqlalchemy.Pool], synchronous: str
    ) -> sqlalchemy.Engine:
        engine = sqlalchemy.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=pool,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )

        @sqlalchemy.event.listens_for(engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            connection.execute(f"pragma synchronous = {synchronous}")

        return engine
