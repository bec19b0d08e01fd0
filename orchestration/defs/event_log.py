"""Dagster's event log in SQLite, without its waiting for the disk.

A run writes some ten events per model and test. Dagster's own class opens, commits, syncs and
closes two databases for each, which takes longer than the transformation of a small warehouse.
This one keeps the index open (a crash of the machine loses its last events but never breaks it)
and does not sync the file of a single run. `dagster.yaml` names it.
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
        self._index_engine: sqlalchemy.Engine | None = None
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

    def dispose(self) -> None:
        """Close what is open."""
        if self._index_engine is not None:
            self._index_engine.dispose()
            self._index_engine = None
        super().dispose()

    def _opened(self, shard: str) -> sqlalchemy.Engine:
        if shard != INDEX_SHARD_NAME:
            return self._engine(shard, NullPool, "off")
        if self._index_engine is None:
            self._index_engine = self._engine(shard, StaticPool, "normal")
        return self._index_engine

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
