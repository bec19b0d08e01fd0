"""The marts against a plain reading of the rules, row for row, on worlds drawn at random.

Every world is a tenant, so one build checks all of them. A world that fails is shrunk by builds of
its parts, and printed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from tests.reference.histories import World, draw_world
from tests.reference.marts import derive
from tests.reference.seeds import Seeds
from tests.reference.warehouse import KEYS, Project, disagreements, shrink

from .conftest import Worlds

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
FIRST_SEED, WORLDS = 1, 2_000 if IS_LONG else 40
HISTORY = "lead_score_history"
TABLES = [table for table in KEYS if table != HISTORY]
SHOWN = 12


class Checked:
    """Where the marts of one build say otherwise than the rules, per world."""

    def __init__(self, opened: Worlds, seeds: Seeds, worlds: list[World]) -> None:
        self.opened, self.seeds, self.worlds = opened, seeds, worlds
        self.wrong = self._wrong(worlds, TABLES)

    def is_contested(self, world: World) -> bool:
        """Whether a veto or a rule of somebody's hand decides who is who."""
        marts = derive(world.loaded(), world.tenant, self.seeds, world.rules, AS_OF)
        return bool(world.rules or marts.refusals)

    def require_agreement(self, *, contested: bool) -> None:
        """Fail with the smallest world that still disagrees."""
        wrong = {
            world: lines
            for world, lines in self.wrong.items()
            if self.is_contested(world) == contested
        }
        if not wrong:
            return
        first = min(wrong, key=lambda world: len(world.rows()))
        subjects = {line.partition(":")[0] for line in wrong[first]}
        tables = [table for table in TABLES if table in subjects][:1]
        smallest = shrink(first, lambda attempts: list(self._wrong(attempts, tables)))
        lines = self._wrong([smallest], tables).get(smallest, wrong[first])
        pytest.fail(
            f"{len(wrong)} of {len(self.worlds)} worlds disagree; the smallest:\n"
            + "\n".join([*lines[:SHOWN], smallest.describe()])
        )

    def _wrong(self, worlds: list[World], tables: list[str]) -> dict[World, list[str]]:
        with self.opened(worlds) as warehouse:
            warehouse.load_all()
            warehouse.build(AS_OF)
            return disagreements(warehouse, self.seeds, AS_OF, tables)


@pytest.fixture(scope="module")
def checked(project: Project, worlds_warehouse: Worlds) -> Checked:
    worlds = [
        draw_world(seed, AS_OF, has_rules=seed % 4 == 0)
        for seed in range(FIRST_SEED, FIRST_SEED + WORLDS)
    ]
    return Checked(worlds_warehouse, Seeds(project.seeds), worlds)


@pytest.mark.long
def test_the_marts_say_what_the_rules_say(checked: Checked) -> None:
    """Prevents a mart that is wrong on a threshold, a tie, a late or a corrected row."""
    checked.require_agreement(contested=False)


@pytest.mark.long
def test_vetoes_and_manual_rules_decide_who_is_who(checked: Checked) -> None:
    """Prevents two accounts in one customer, and a rule of somebody's hand that is passed over."""
    checked.require_agreement(contested=True)
