"""Who is who from build to build: merges, splits, old ids, and what was recorded under them.

Every story is a tenant, so that a few builds tell them all: the first is whole, the second and
third are partial, the fourth is whole again, after people wrote rules and erased somebody.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from orchestration.cli import main
from orchestration.identity import Step, explain_identity, explain_tie, minted_from
from orchestration.people import UnknownPerson
from orchestration.story import tell_story
from orchestration.transform import transform
from orchestration.warehouse.builds import Coverage, parse_as_of
from orchestration.warehouse.database import engine
from tests.conftest import set_environment
from tests.reference.histories import File, World
from tests.reference.seeds import Tenant
from tests.reference.warehouse import RULE_COLUMNS, Project, Warehouse

FIRST, SECOND, THIRD, FOURTH = (
    parse_as_of(f"2026-0{month}-01T00:00:00Z") for month in (3, 4, 5, 6)
)
PHONE = "+4915112345678"
ANN, BEA, CEM, DAN, EVE = (f"{name}@example.com" for name in ("ann", "bea", "cem", "dan", "eve"))
SEGMENTS = (
    ("everybody", True, "every"),
    ("founders", False, "every"),
)

Row = dict[str, Any]
Rows = list[Row]


def lead(lead_id: str, email: str | None, phone: str | None = None, on: str = "2026-01-01") -> Row:
    return {"id": lead_id, "email": email, "phone": phone, "captured_at": f"{on}T00:00:00Z"}


def contact(client_id: str, email: str, on: str = "2026-01-01") -> Row:
    return {
        "id": client_id,
        "email": email,
        "name": "A client",
        "updated_at": f"{on}T00:00:00Z",
    }


def page_view(number: int, device: str, email: str) -> Row:
    return {
        "id": f"view-{number}",
        "type": "page_view",
        "channel": "direct",
        "anonymous_id": device,
        "email": email,
        "occurred_at": "2026-01-02T00:00:00Z",
    }


def member(email: str, added_on: str, removed_on: str | None = None) -> Row:
    return {
        "segment_id": "founders",
        "email": email,
        "added_at": f"{added_on}T00:00:00Z",
        "removed_at": removed_on and f"{removed_on}T00:00:00Z",
    }


def erasure(email: str) -> Row:
    return {"id": "request", "email": email, "requested_at": "2026-05-15T00:00:00Z"}


Step_ = dict[str, Rows]
STORIES: dict[str, tuple[Step_, ...]] = {
    "merge": (
        {
            "leads": [lead("one", ANN, PHONE), lead("two", BEA)],
            "static_segment_members": [
                member(ANN, "2026-02-01", "2026-02-10"),
                member(BEA, "2026-02-10", "2026-02-20"),
            ],
        },
        {"leads": [lead("tie", BEA, PHONE, on="2026-03-15")]},
    ),
    "chain": (
        {"leads": [lead("one", ANN), lead("two", BEA), lead("three", CEM)]},
        {"leads": [lead("two-three", BEA, PHONE), lead("three-two", CEM, PHONE, on="2026-03-15")]},
        {"leads": [lead("one-two", ANN, PHONE, on="2026-04-15")]},
    ),
    "veto": (
        {
            "contacts": [contact("client-1", ANN)],
            "leads": [lead("one", ANN, PHONE), lead("two", BEA, PHONE)],
        },
        {"contacts": [contact("client-2", BEA, on="2026-03-15")]},
    ),
    "never": (
        {"leads": [lead("one", ANN, PHONE), lead("two", BEA, PHONE)]},
    ),
    "back": (
        {"leads": [lead("one", ANN, PHONE), lead("two", BEA)]},
        {"leads": [lead("tie", BEA, PHONE, on="2026-03-15")]},
    ),
    "kiosk": (
        {
            "touchpoints": [
                page_view(number, "kiosk", email)
                for number, email in enumerate((ANN, BEA, CEM, DAN), start=1)
            ],
            "leads": [lead("alone", EVE)],
        },
    ),
    "always": (
        {
            "leads": [lead("one", ANN), lead("two", BEA, PHONE)],
            "consent_changes": [
                {"id": "mention", "email": CEM, "channel": "email", "subscribed": True,
                 "changed_at": "2026-01-02T00:00:00Z"},
            ],
        },
    ),
    "erased": (
        {"leads": [lead("forgotten", ANN), lead("dropped", BEA), lead("stays", CEM)]},
        {},
        {},
        {"erasure_requests": [erasure(ANN)]},
    ),
}  # fmt: skip
RULES = (
    ("never", "never", ANN, BEA),
    ("back", "never", ANN, BEA),
    ("always", "always", ANN, BEA),
    ("always", "always", ANN, CEM),
)


@dataclass
class History:
    """What the marts held after each build; the database holds the last."""

    database: sqlalchemy.Engine
    database_url: str
    home: Path
    builds: dict[str, dict[str, Rows]]

    def rows(self, build: str, mart: str, tenant: str) -> Rows:
        return [row for row in self.builds[build][f"marts.{mart}"] if row["tenant_id"] == tenant]

    def owner(self, build: str, tenant: str, email: str) -> str:
        (owner,) = (
            row["customer_id"]
            for row in self.rows(build, "customer_identities", tenant)
            if row["identifier"] == email
        )
        return str(owner)

    def redirects(self, build: str, tenant: str) -> dict[str, str]:
        return {
            row["old_customer_id"]: row["customer_id"]
            for row in self.rows(build, "customer_redirects", tenant)
        }

    def spells(self, build: str, tenant: str, segment: str, customer_id: str) -> list[Any]:
        """(spell, added, removed, reason) in the order of the numbers."""
        return sorted(
            (row["spell"], row["added_at"], row["removed_at"], row["exit_reason"])
            for row in self.rows(build, "segment_memberships", tenant)
            if (row["segment_id"], row["customer_id"]) == (segment, customer_id)
        )


def everything(database: sqlalchemy.Engine) -> dict[str, Rows]:
    tables: dict[str, Rows] = {}
    with database.connect() as connection:
        for schema in ("marts", "sync"):
            for table in sqlalchemy.inspect(connection).get_table_names(schema=schema):
                rows = connection.exec_driver_sql(f'select * from "{schema}"."{table}"').mappings()
                tables[f"{schema}.{table}"] = sorted(map(dict, rows), key=str)
    return tables


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


def write_segments(seeds: Path) -> None:
    """Two segments for every tenant, and no campaign, for those are of other tenants."""
    campaigns = seeds / "winback_campaign_definitions.csv"
    campaigns.write_text(campaigns.read_text().splitlines()[0] + "\n")
    with (seeds / "segment_definitions.csv").open(newline="") as opened:
        header = tuple(next(csv.reader(opened)))
    rows: list[tuple[object, ...]] = []
    for segment, is_dynamic, policy in SEGMENTS:
        values = {
            "tenant_id": "*",
            "segment_id": segment,
            "segment_name": segment,
            "is_dynamic": str(is_dynamic).lower(),
            "is_active": "true",
            "sync_enabled": "false",
            "reentry_policy": policy,
        }
        rows.append(tuple(values.get(column, "") for column in header))
    write_csv(seeds / "segment_definitions.csv", header, rows)


def build(
    warehouse: Warehouse, as_of: datetime, since: Coverage | None = None, *, tested: bool = False
) -> None:
    transform(
        warehouse.settings,
        as_of,
        since=since,
        select=() if tested else ["resource_type:seed", "resource_type:model"],
        with_tests_of_selected=tested,
    ).require_success()


def covered(database: sqlalchemy.Engine, as_of: datetime) -> Coverage:
    with database.connect() as connection:
        loads = "select max(load_id) from ops.loads"
        return Coverage(connection.exec_driver_sql(loads).scalar_one(), as_of)


@pytest.fixture(scope="module")
def history(
    project: Project, fresh_databases: Callable[[], AbstractContextManager[str]]
) -> Iterator[History]:
    """The stories, built four times."""
    worlds = [
        World(
            seed=0,
            tenant=Tenant(tenant, "Europe/Berlin", "EUR", "DE"),
            steps=tuple(
                tuple(
                    File(source, f"{number}.jsonl", tuple(rows))
                    for source, rows in step.items()
                    if rows
                )
                for number, step in enumerate(steps)
            ),
        )
        for tenant, steps in STORIES.items()
    ]
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        project.own_seeds() as seeds,
        fresh_databases() as database_url,
    ):
        write_segments(seeds)
        project.point_at(monkeypatch)
        monkeypatch.setattr("orchestration.people.SEEDS_DIR", project.seeds)
        set_environment(
            monkeypatch, JOURNEY_HOME=str(project.home), JOURNEY_DATABASE_URL=database_url
        )
        warehouse = project.warehouse(database_url, worlds)
        database = engine(warehouse.settings)
        told = History(database, database_url, project.home, {})

        warehouse.load((world, 0) for world in worlds if len(world.steps) > 0)
        build(warehouse, FIRST)
        told.builds["first"] = everything(database)

        before = covered(database, FIRST)
        warehouse.load((world, 1) for world in worlds if len(world.steps) > 1)
        build(warehouse, SECOND, before)
        told.builds["second"] = everything(database)

        before = covered(database, SECOND)
        warehouse.load((world, 2) for world in worlds if len(world.steps) > 2)
        build(warehouse, THIRD, before)
        told.builds["third"] = everything(database)
        build(warehouse, THIRD)
        told.builds["third, whole"] = everything(database)

        warehouse.load((world, 3) for world in worlds if len(world.steps) > 3)
        rules = [
            (tenant, rule, "email", one, "email", other, "By hand")
            for tenant, rule, one, other in RULES
        ]
        write_csv(seeds / "identity_rules.csv", RULE_COLUMNS, list(rules))
        with database.begin() as connection:
            gone = connection.exec_driver_sql(
                "delete from raw.leads"
                " where tenant_id = 'erased' and id in ('forgotten', 'dropped')"
            )
            assert gone.rowcount == 2
        build(warehouse, FOURTH, tested=True)
        told.builds["fourth"] = everything(database)
        build(warehouse, FIRST)
        told.builds["the past"] = everything(database)
        build(warehouse, FOURTH)
        told.builds["fourth, again"] = everything(database)
        yield told
        database.dispose()


def test_a_partial_build_ends_in_the_rows_of_a_whole_one(history: History) -> None:
    """Prevents old ids, splits or spells that depend on how much was derived anew."""
    partial, whole = history.builds["third"], history.builds["third, whole"]
    assert {table for table in whole if partial[table] != whole[table]} == set()


def test_a_look_into_the_past_leaves_no_trace(history: History) -> None:
    """Prevents kept state that moves on with every build: redirects, splits, spells, reasons."""
    assert history.owner("the past", "merge", BEA) == history.owner("first", "merge", BEA)
    assert history.owner("the past", "veto", BEA) == history.owner("first", "veto", BEA)
    once, twice = history.builds["fourth"], history.builds["fourth, again"]
    assert {table for table in twice if once[table] != twice[table]} == set()


def test_two_published_customers_become_the_older_one(history: History) -> None:
    """Prevents a published id that leads nowhere after a merge, or an id that changes with it."""
    ann, bea = (history.owner("first", "merge", email) for email in (ANN, BEA))
    assert ann != bea
    assert ann == minted_from("merge", f"email:{ANN}")
    for email in (ANN, BEA):
        assert history.owner("second", "merge", email) == ann
    (redirect,) = history.rows("second", "customer_redirects", "merge")
    assert (redirect["old_customer_id"], redirect["customer_id"]) == (bea, ann)
    assert (redirect["merged_at"], redirect["reason"]) == (SECOND, "merged")
    assert len(history.rows("second", "customers", "merge")) == 1


def test_recorded_spells_follow_the_survivor(history: History) -> None:
    """Prevents a history that stays behind under an id that nobody has any more."""
    ann, bea = (history.owner("first", "merge", email) for email in (ANN, BEA))
    spells = history.spells
    first, touching = datetime.fromisoformat, "2026-02-{}T00:00:00+00:00"
    for customer_id, from_day, to_day in ((ann, "01", "10"), (bea, "10", "20")):
        assert spells("first", "merge", "everybody", customer_id) == [(1, FIRST, None, None)]
        assert spells("first", "merge", "founders", customer_id) == [
            (1, first(touching.format(from_day)), first(touching.format(to_day)), "left")
        ]
    assert spells("second", "merge", "everybody", ann) == [(1, FIRST, None, None)]
    assert spells("second", "merge", "founders", ann) == [
        (1, first(touching.format("01")), first(touching.format("20")), "left")
    ]
    kept = history.rows("second", "segment_memberships", "merge")
    assert {row["customer_id"] for row in kept} == {ann}


def test_merges_one_after_the_other_all_lead_to_the_living_one(history: History) -> None:
    """Prevents an old id that leads to another old one."""
    ann, bea, cem = (history.owner("first", "chain", email) for email in (ANN, BEA, CEM))
    assert history.redirects("second", "chain") == {cem: bea}
    assert history.redirects("third", "chain") == {cem: ann, bea: ann}
    assert history.spells("third", "chain", "everybody", ann) == [(1, FIRST, None, None)]


def test_a_veto_leaves_the_id_with_its_minting_identifier(history: History) -> None:
    """Prevents a split that hands the id, and everything recorded under it, to the wrong part."""
    whole = history.owner("first", "veto", ANN)
    assert history.owner("first", "veto", BEA) == whole
    assert history.owner("second", "veto", ANN) == whole
    part = history.owner("second", "veto", BEA)
    assert part == minted_from("veto", f"email:{BEA}") != whole
    (split,) = history.rows("second", "customer_splits", "veto")
    assert (split["customer_id"], split["split_from_customer_id"]) == (part, whole)
    assert split["split_at"] == SECOND
    assert history.redirects("second", "veto") == {}
    assert history.spells("second", "veto", "everybody", whole) == [(1, FIRST, None, None)]
    assert history.spells("second", "veto", "everybody", part) == [(1, SECOND, None, None)]


def test_a_rule_splits_like_a_guard(history: History) -> None:
    """Prevents a never-rule that comes too late for people who were published as one."""
    whole = history.owner("third", "never", BEA)
    assert history.owner("fourth", "never", ANN) == whole
    part = history.owner("fourth", "never", BEA)
    assert [
        (row["customer_id"], row["split_from_customer_id"], row["split_at"])
        for row in history.rows("fourth", "customer_splits", "never")
    ] == [(part, whole, FOURTH)]


def test_an_id_that_comes_back_is_no_redirect_any_more(history: History) -> None:
    """Prevents a living customer whose id leads to somebody else."""
    ann, bea = (history.owner("first", "back", email) for email in (ANN, BEA))
    assert history.redirects("third", "back") == {bea: ann}
    assert history.owner("fourth", "back", BEA) == bea
    assert history.redirects("fourth", "back") == {}
    (split,) = history.rows("fourth", "customer_splits", "back")
    assert (split["customer_id"], split["split_from_customer_id"]) == (bea, ann)
    assert history.spells("fourth", "back", "everybody", ann) == [(1, FIRST, None, None)]
    assert history.spells("fourth", "back", "everybody", bea) == [(1, FOURTH, None, None)]


def test_only_the_forgotten_leave_as_erased(history: History) -> None:
    """Prevents a request that is not told from a correction, and a stay that never ends."""
    forgotten, dropped, stays = (history.owner("third", "erased", one) for one in (ANN, BEA, CEM))
    assert history.spells("fourth", "erased", "everybody", forgotten) == [
        (1, FIRST, FOURTH, "erased")
    ]
    assert history.spells("fourth", "erased", "everybody", dropped) == [(1, FIRST, FOURTH, "left")]
    assert history.spells("fourth", "erased", "everybody", stays) == [(1, FIRST, None, None)]


@pytest.mark.parametrize(
    ("build", "tenant", "rule", "pairs", "reason"),
    [
        (
            "fourth",
            "kiosk",
            "cap",
            {("anonymous_id:kiosk", f"email:{email}") for email in (ANN, BEA, CEM, DAN)},
            "Seen with more than the 3 people that one may be seen with",
        ),
        (
            "fourth",
            "veto",
            "veto",
            {(f"email:{BEA}", f"phone:{PHONE}")},
            "It would join two client records",
        ),
        (
            "fourth",
            "never",
            "never",
            {(f"email:{BEA}", f"phone:{PHONE}")},
            "It would join a pair that identity_rules keeps apart",
        ),
        ("third", "never", "never", set(), ""),
    ],
)
def test_every_refused_tie_is_listed_with_its_reason(
    history: History, build: str, tenant: str, rule: str, pairs: set[tuple[str, str]], reason: str
) -> None:
    """Prevents people who are kept apart, and nobody can say why."""
    refusals = history.rows(build, "identity_refusals", tenant)
    assert {(row["identifier_a"], row["identifier_b"]) for row in refusals} == pairs
    assert {(row["rule"], row["reason"]) for row in refusals} == (
        {(rule, reason)} if pairs else set()
    )


def test_an_old_id_tells_the_story_of_who_has_it_now(history: History) -> None:
    """Prevents a link in an old report, or a message sent under the old id, that leads nowhere."""
    ann, bea = (history.owner("first", "merge", email) for email in (ANN, BEA))
    with history.database.begin() as connection:
        connection.exec_driver_sql(
            "insert into outbox.deliveries (message_id, tenant_id, customer_id, destination,"
            " operation, purpose, payload, state, created_at, updated_at)"
            " select id, 'merge', id, 'klaviyo', 'create_event', 'hello', '{}', 'accepted', now(),"
            f" now() from unnest(array['{ann}', '{bea}', 'stranger']) as id"
        )
    for asked in (bea, ann, "BEA@example.com", "0151 12345678"):
        told = tell_story(history.database, asked, "merge")
        assert told.customer["customer_id"] == ann
        assert {message["message_id"] for message in told.messages} == {ann, bea}
    found = explain_identity(history.database, bea)
    assert (found.customer_id, found.old_customer_id) == (ann, bea)
    assert [row["old_customer_id"] for row in found.redirects] == [bea]
    assert {row["identifier"] for row in found.identities} >= {ANN, BEA, PHONE}


def test_a_chain_names_each_record_on_the_way(history: History) -> None:
    """Prevents a merge that nobody can retrace."""
    tie = explain_tie(history.database, " ANN@Example.com", "0151 12345678", "merge")
    assert tie.verdict == "one customer"
    assert tie.steps == [Step(f"email:{ANN}", f"phone:{PHONE}", "leads", "one")]
    ann, bea = (history.owner("first", "merge", email) for email in (ANN, BEA))
    by_ids = explain_tie(history.database, bea, ann)
    assert by_ids.steps == [
        Step(f"email:{BEA}", f"phone:{PHONE}", "leads", "tie"),
        Step(f"phone:{PHONE}", f"email:{ANN}", "leads", "one"),
    ]
    same = explain_tie(history.database, ANN, ann, "merge")
    assert (same.verdict, same.steps) == ("one customer", [])


def test_a_rule_is_a_tie_like_any_other(history: History) -> None:
    """Prevents people whom somebody tied by hand from looking tied by nothing."""
    tie = explain_tie(history.database, ANN, PHONE, "always")
    assert tie.verdict == "one customer"
    assert tie.steps == [
        Step(f"email:{ANN}", f"email:{BEA}", "identity_rules", "By hand"),
        Step(f"email:{BEA}", f"phone:{PHONE}", "leads", "two"),
    ]


def test_a_rule_on_somebody_only_mentioned_ties_nothing(history: History) -> None:
    """Prevents a chain of ties, none of them refused, between people who are kept apart."""
    tie = explain_tie(history.database, ANN, CEM, "always")
    assert (tie.verdict, tie.steps) == ("never seen together", [])


@pytest.mark.parametrize(
    ("tenant", "refused_by"), [("kiosk", "cap"), ("veto", "veto"), ("never", "never")]
)
def test_a_refused_tie_says_why(history: History, tenant: str, refused_by: str) -> None:
    """Prevents two customers whom people take for one, without a word on what keeps them apart."""
    tie = explain_tie(history.database, ANN, BEA, tenant)
    assert tie.verdict == "kept apart"
    assert len(set(tie.customer_ids)) == 2
    assert {step.refused_by for step in tie.refused} == {refused_by}
    assert all(step.reason for step in tie.refused)
    first, last = tie.steps[0], tie.steps[-1]
    assert (first.identifier_a, last.identifier_b) == (f"email:{ANN}", f"email:{BEA}")


def test_strangers_were_never_seen_together(history: History) -> None:
    """Prevents an invented tie."""
    tie = explain_tie(history.database, ANN, EVE, "kiosk")
    assert (tie.verdict, tie.steps) == ("never seen together", [])


def test_what_belongs_to_nobody_is_explained_too(history: History) -> None:
    """Prevents a shared device that looks unknown, though it explains why people are apart."""
    found = explain_identity(history.database, "kiosk")
    assert (found.customer_id, found.customer) == (None, None)
    assert {row["identifier_b"] for row in found.refusals} == {
        f"email:{email}" for email in (ANN, BEA, CEM, DAN)
    }
    nearby = explain_identity(history.database, ANN, "kiosk")
    assert [row["identifier_a"] for row in nearby.refusals] == ["anonymous_id:kiosk"]


def test_unknown_values_and_tenants_end_in_one_message(history: History) -> None:
    """Prevents an empty answer that looks like an answer."""
    database = history.database
    with pytest.raises(UnknownPerson, match=r"No record shows no@example\.com\. Give an e-mail"):
        explain_identity(database, "no@example.com")
    with pytest.raises(UnknownPerson, match="There is no tenant nosuch; there are always, back"):
        explain_tie(database, ANN, BEA, "nosuch")
    with pytest.raises(UnknownPerson, match=r"people are known by ann@example\.com .* Name the"):
        explain_identity(database, ANN)
    with pytest.raises(UnknownPerson, match=r"Nothing ever ties people across tenants"):
        explain_tie(database, "kiosk", "client-1")


def test_the_command_explains_in_words_and_as_json(
    history: History, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents an explanation that only Python can read."""
    set_environment(
        monkeypatch, JOURNEY_HOME=str(history.home), JOURNEY_DATABASE_URL=history.database_url
    )

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["explain-identity", *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    ann, bea = (history.owner("first", "merge", email) for email in (ANN, BEA))
    code, output, _ = run(bea)
    assert code == 0
    assert f"customer {ann} of merge" in output
    assert f"{bea} is an old id of this customer" in output
    output = run(ANN, BEA, "--tenant", "veto")[1]
    assert "are not one customer of veto" in output
    assert "It would join two client records." in output
    assert "refused by veto" in output
    assert "belongs to nobody in kiosk" in run("kiosk")[1]
    facts = json.loads(run(ANN, BEA, "--tenant", "merge", "--json")[1])
    assert [step["record"] for step in facts["steps"]] == ["one", "tie"]
    code, output, errors = run("no@example.com")
    assert (code, output, errors.count("\n")) == (1, "", 1)
