"""Work that dbt does for nobody, and that a run is spared.

A build runs some four hundred models and tests, most of them over in an instant: what dbt does
around each of them is the larger part of a build in which little is new.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SELDOM = (50_000, 20, 1_000)
"""Of how many new objects, and of how many such searches, Python looks for garbage."""


@contextmanager
def overhead_spared() -> Iterator[None]:
    """Let dbt run without it; all is as before afterwards."""
    with garbage_left_alone(), heard_events_only(), connections_kept():
        yield


@contextmanager
def garbage_left_alone() -> Iterator[None]:
    """Let Python look for garbage seldom, and only among what is new.

    The parsed project and a hundred thousand objects of libraries live as long as the run: looking
    through them, again and again, costs more than a tenth of it.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def heard_events_only() -> Iterator[None]:
    """Let dbt make no events of its level `debug`, which neither the log nor we take.

    It makes some at every step of a model, each of them two messages of protobuf, and only then
    asks who would like to hear it.
    """
    from dbt_common.events.base_types import BaseEvent, DebugLevel, EventLevel
    from dbt_common.events.event_manager import EventManager

    make, fire = DebugLevel.__init__, EventManager.fire_event

    def fire_if_heard(
        manager: EventManager,
        e: BaseEvent,
        level: EventLevel | None = None,
        node: Any = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        if not isinstance(e, DebugLevel):
            fire(manager, e, level, node, force_warn_or_error_handling)

    def make_nothing(_event: DebugLevel, **_values: Any) -> None:
        """An event that nobody hears has nothing to say."""

    EventManager.fire_event = fire_if_heard  # type: ignore[method-assign, assignment]
    DebugLevel.__init__ = make_nothing  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        EventManager.fire_event = fire  # type: ignore[method-assign]
        DebugLevel.__init__ = make  # type: ignore[method-assign]


@contextmanager
def connections_kept() -> Iterator[None]:
    """Let each thread of dbt keep its connection from one model to the next.

    It opens one for every model and test, and a new session of PostgreSQL knows of no table yet.
    What is left of a model goes with it: an open transaction, and temporary tables.
    """
    import psycopg2  # type: ignore[import-untyped]
    from dbt.adapters.contracts.connection import ConnectionState
    from dbt.adapters.postgres.connections import PostgresConnectionManager

    close = PostgresConnectionManager.release

    def release(manager: PostgresConnectionManager) -> None:
        connection = manager.get_if_exists()
        if connection is None or connection.state != ConnectionState.OPEN:
            return close(manager)
        try:
            connection.handle.rollback()
            connection.transaction_open = False
            with connection.handle.cursor() as cursor:
                cursor.execute("discard temp")
            connection.handle.commit()
        except psycopg2.Error:
            close(manager)

    PostgresConnectionManager.release = release  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        PostgresConnectionManager.release = close  # type: ignore[method-assign]
