"""The marts against a plain reading of the rules, row for row, on worlds drawn at random.

Every world is a tenant, so one build checks all of them. A world that fails is shrunk by builds of
its parts, and printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import SystemRandom

import pytest

from orchestration.activation.enrolment import enrol
from orchestration.activation.gate import require_success
from orchestration.warehouse.database import engine
from tests.reference.histories import World, draw_world, edge_world
from tests.reference.identity import joined
from tests.reference.marts import Marts
from tests.reference.seeds import Seeds
from tests.reference.warehouse import (
    KEYS,
    Project,
    Warehouse,
    disagreements,
    expected_marts,
    outbox_of,
    shrink,
)
from tests.reference.winback import to_enrol

from .conftest import Worlds

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
IS_LONG = os.environ.get("JOURNEY_LONG") == "1"
WORLDS = 2_000 if IS_LONG else 40
FIRST_SEED = SystemRandom().randrange(10**9) if IS_LONG else 1
"""The full counts are drawn anew every time; a world that fails says its seed."""
HISTORY = "lead_score_history"
TABLES = [table for table in KEYS if table != HISTORY]
SHOWN = 12


class Checked:
    """Where the marts of one build say otherwise than the rules, per world."""

    def __init__(self, opened: Worlds, seeds: Seeds, worlds: list[World]) -> None:
        self.seeds, self.worlds = seeds, worlds
        self._opened = opened
        with self._built(worlds) as warehouse:
            self._wrong = disagreements(warehouse, seeds, AS_OF, list(KEYS))
            self.refused = _refused(warehouse)
            self.enrolled = _enrolled(warehouse)

    def marts(self, world: World) -> Marts:
        """What the rules say of a world."""
        return expected_marts(world, self.seeds, AS_OF)

    def is_contested(self, world: World) -> bool:
        """Whether a veto or a rule of somebody's hand decides who is who."""
        return bool(world.rules or self.marts(world).refusals)

    def require_agreement(self, tables: list[str], *, contested: bool) -> None:
        """Fail with the smallest world that still disagrees."""
        wrong = {
            world: told
            for world, lines in self._wrong.items()
            if (told := [line for line in lines if line.partition(":")[0] in tables])
            and self.is_contested(world) == contested
        }
        if not wrong:
            return
        first = min(wrong, key=lambda world: len(world.rows()))
        subjects = [wrong[first][0].partition(":")[0]]
        smallest = shrink(first, lambda attempts: list(self._disagreeing(attempts, subjects)))
        lines = self._disagreeing([smallest], subjects).get(smallest, wrong[first])
        pytest.fail(
            f"{len(wrong)} of {len(self.worlds)} worlds disagree; the smallest:\n"
            + "\n".join([*lines[:SHOWN], smallest.describe()])
        )

    def _disagreeing(self, worlds: list[World], tables: list[str]) -> dict[World, list[str]]:
        with self._built(worlds) as warehouse:
            return disagreements(warehouse, self.seeds, AS_OF, tables)

    @contextmanager
    def _built(self, worlds: list[World]) -> Iterator[Warehouse]:
        with self._opened(worlds) as warehouse:
            warehouse.load_all()
            for world in worlds:
                warehouse.record(world.tenant.tenant_id, outbox_of(world, self.seeds, AS_OF))
            warehouse.build(AS_OF)
            yield warehouse


def _refused(warehouse: Warehouse) -> set[tuple[str, frozenset[str]]]:
    """The refused ties of every tenant; a mart that does not exist has none."""
    if "identity_refusals" not in warehouse.tables("marts"):
        return set()
    return {
        (row["tenant_id"], frozenset((row["identifier_a"], row["identifier_b"])))
        for row in warehouse.query("select * from marts.identity_refusals")
    }


def _enrolled(warehouse: Warehouse) -> dict[tuple[str, str, str], bool]:
    """Whom a run enrols after the build, and whether each is held out."""
    database = engine(warehouse.settings)
    try:
        with database.begin() as connection:
            enrol(connection, require_success(connection))
    finally:
        database.dispose()
    return {
        (row["tenant_id"], row["campaign_id"], row["customer_id"]): row["is_held_out"]
        for row in warehouse.query(
            f"select * from outbox.campaign_enrolments where enrolled_at = '{AS_OF.isoformat()}'"
        )
    }


@pytest.fixture(scope="module")
def checked(project: Project, worlds_warehouse: Worlds) -> Checked:
    worlds = [
        draw_world(seed, AS_OF, has_rules=seed % 4 == 0)
        for seed in range(FIRST_SEED, FIRST_SEED + WORLDS)
    ]
    return Checked(worlds_warehouse, Seeds(project.seeds), [edge_world(AS_OF), *worlds])


@pytest.mark.long
def test_the_marts_say_what_the_rules_say(checked: Checked) -> None:
    """Prevents a mart that is wrong on a threshold, a tie, a late or a corrected row."""
    checked.require_agreement(TABLES, contested=False)


@pytest.mark.long
def test_scores_change_when_the_rules_say(checked: Checked) -> None:
    """Prevents a history that says when somebody noticed, not when the score changed."""
    checked.require_agreement([HISTORY], contested=False)


@pytest.mark.long
def test_vetoes_and_manual_rules_decide_who_is_who(checked: Checked) -> None:
    """Prevents two accounts in one customer, and a rule of somebody's hand that is passed over."""
    checked.require_agreement(TABLES, contested=True)


@pytest.mark.long
def test_a_run_enrols_whom_the_rules_name(checked: Checked) -> None:
    """Prevents a campaign that passes over who waits longest, or that chooses whom to hold out."""
    expected = {}
    for world in checked.worlds:
        tenant_id, marts = world.tenant.tenant_id, checked.marts(world)
        recorded = {
            (tenant_id, one.campaign_id, one.customer_id): one
            for one in outbox_of(world, checked.seeds, AS_OF)
        }
        for key, enrolment in recorded.items():
            if enrolment.enrolled_at == AS_OF:
                expected[key] = enrolment.is_held_out
        for campaign in world.campaigns:
            eligible = [
                customer_id
                for (campaign_id, customer_id), row in marts.tables["winback_eligibility"].items()
                if campaign_id == campaign.campaign_id and row["is_eligible"]
            ]
            chosen = to_enrol(campaign, marts.people, eligible, tenant_id)
            for customer_id, is_held_out in chosen.items():
                key = (tenant_id, campaign.campaign_id, customer_id)
                if key not in recorded:
                    expected[key] = is_held_out
    assert len(set(expected.values())) == 2
    assert checked.enrolled == expected


@pytest.mark.long
def test_every_refused_tie_is_listed(checked: Checked) -> None:
    """Prevents people kept apart without anybody being able to see why."""
    expected = {
        (world.tenant.tenant_id, frozenset(joined(key) for key in pair))
        for world in checked.worlds
        for pair in checked.marts(world).refusals
    }
    assert not expected - checked.refused
