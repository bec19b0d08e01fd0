"""What readers of the marts rely on, on a warehouse that was really built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy

from orchestration.people import UnknownPerson
from orchestration.settings import Settings
from orchestration.story import describe_warehouse, tell_story
from orchestration.transform import transform
from orchestration.warehouse.builds import parse_as_of
from orchestration.warehouse.database import engine

AS_OF = parse_as_of("2026-07-01T00:00:00Z")
MARA = "mara.lindqvist@example.com"

HashTables = Callable[..., dict[str, tuple[int, str]]]


AT_NEW_YEAR = """
    with known as (
        select
            tenant_id,
            customer_id,
            array_agg(identifier_type || ':' || identifier order by identifier_type, identifier)
                as known_by
        from marts.customer_identities
        where first_seen_at <= '2026-01-01T00:00:00Z'
        group by tenant_id, customer_id
    ),

    stages as (
        select distinct on (tenant_id, customer_id) *
        from marts.stage_transitions
        where transitioned_at <= '2026-01-01T00:00:00Z'
        order by tenant_id, customer_id, transitioned_at desc
    )

    select
        known.tenant_id,
        known.known_by,
        scores.lead_score,
        scores.valid_from,
        stages.to_stage,
        stages.transitioned_at
    from known
    inner join marts.lead_score_history as scores
        on
            known.tenant_id = scores.tenant_id
            and known.customer_id = scores.customer_id
            and scores.valid_from <= '2026-01-01T00:00:00Z'
            and coalesce(scores.valid_to > '2026-01-01T00:00:00Z', true)
    inner join stages
        on known.tenant_id = stages.tenant_id and known.customer_id = stages.customer_id
"""


@dataclass(frozen=True)
class LookBack:
    """What a warehouse said before, during and after a build of the past.

    `published` are the hashes of marts and messages; `at_new_year` is who was known then by which
    identifiers, with score and stage.
    """

    published_before: dict[str, tuple[int, str]]
    published_then: dict[str, tuple[int, str]]
    published_after: dict[str, tuple[int, str]]
    at_new_year_before: dict[tuple[str, tuple[str, ...]], tuple[object, ...]]
    at_new_year_then: dict[tuple[str, tuple[str, ...]], tuple[object, ...]]


@pytest.fixture(scope="module")
def built_database(built_once: Settings) -> Iterator[sqlalchemy.Engine]:
    made = engine(built_once)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def look_back(
    built_once: Settings, built_database: sqlalchemy.Engine, hash_tables: HashTables
) -> LookBack:
    """The sample, built as of New Year and then as of today again."""
    kept = {"marts.customer_redirects", "marts.customer_splits"}

    def published() -> dict[str, tuple[int, str]]:
        hashes = hash_tables(built_database, ("marts", "sync"))
        return {table: known for table, known in hashes.items() if table not in kept}

    def at_new_year() -> dict[tuple[str, tuple[str, ...]], tuple[object, ...]]:
        with built_database.connect() as connection:
            rows = connection.exec_driver_sql(AT_NEW_YEAR).all()
        return {(tenant, tuple(known_by)): tuple(told) for tenant, known_by, *told in rows}

    before, replayed = published(), at_new_year()
    transform(built_once, parse_as_of("2026-01-01T00:00:00Z")).require_success()
    then, told_then = published(), at_new_year()
    # the tests of the data need no second look at rows that are those of before
    nodes = ["resource_type:seed", "resource_type:model"]
    back = transform(built_once, AS_OF, select=nodes, with_tests_of_selected=False)
    back.require_success()
    return LookBack(before, then, published(), replayed, told_then)


def test_building_the_past_and_coming_back_changes_nothing(
    look_back: LookBack, built_database: sqlalchemy.Engine
) -> None:
    """Prevents a look into the past from leaving traces in the present, other than where the ids
    lead that only the past had."""
    assert look_back.published_then != look_back.published_before
    assert look_back.published_after == look_back.published_before
    with built_database.connect() as connection:
        wrong = connection.exec_driver_sql(
            """
            select count(*)
            from marts.customer_redirects as redirects
            where
                exists (
                    select 1 from marts.customers as living
                    where
                        (living.tenant_id, living.customer_id)
                        = (redirects.tenant_id, redirects.old_customer_id)
                )
                or not exists (
                    select 1 from marts.customers as owners
                    where
                        (owners.tenant_id, owners.customer_id)
                        = (redirects.tenant_id, redirects.customer_id)
                )
            """
        ).scalar_one()
    assert wrong == 0


def test_the_history_tells_what_a_build_of_its_day_said(look_back: LookBack) -> None:
    """Prevents a replay that rewrites what was true: today's orders under an old date."""
    replayed, told_then = look_back.at_new_year_before, look_back.at_new_year_then
    # people whose identifiers were tied together only later are other people then
    same_people = replayed.keys() & told_then.keys()
    assert len(same_people) > 100
    assert {one: replayed[one] for one in same_people} == {
        one: told_then[one] for one in same_people
    }


def test_a_story_is_found_by_any_spelling(built_database: sqlalchemy.Engine) -> None:
    """Prevents a person from being unknown because an address was typed in another way."""
    told = tell_story(built_database, MARA, "aurora")
    person = told.customer["customer_id"]
    phone = next(one["identifier"] for one in told.identities if one["identifier_type"] == "phone")
    for spelling in (f" {MARA.upper()} ", phone, phone.replace("+49", "0"), person):
        assert tell_story(built_database, spelling, "aurora").customer["customer_id"] == person
    assert {"order", "refund", "stage_change", "points"} <= {
        one["activity_type"] for one in told.activities
    }
    with pytest.raises(UnknownPerson, match=r"Nobody is known by nobody@example\.com"):
        tell_story(built_database, "nobody@example.com")
    with pytest.raises(UnknownPerson, match="There is no tenant nosuch; there are aurora"):
        tell_story(built_database, MARA, "nosuch")


def test_the_overview_counts_everybody_once(built_database: sqlalchemy.Engine) -> None:
    """Prevents a funnel whose steps leave people out or count them twice."""
    seen = describe_warehouse(built_database)
    steps = ("visitors", "leads", "customers", "repeat", "at risk", "churned")
    counted = sum(tenant[step] for tenant in seen.funnel for step in steps)
    assert counted == seen.row_counts["customers"]
