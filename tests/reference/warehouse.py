"""A real warehouse whose tenants are drawn worlds: one build checks all of them."""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from pydantic import SecretStr

from orchestration.ingest.load import load_landing
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT, SEEDS_DIR, Settings
from orchestration.transform import project_fingerprint, transform
from orchestration.warehouse.builds import building
from orchestration.warehouse.database import engine

from .gifts import code_of
from .histories import World
from .marts import Marts, Rows, derive
from .seeds import Seeds
from .winback import Outbox, draw_outbox, message_id

KEYS = {
    "customer_identities": ("identifier_type", "identifier"),
    "orders": ("order_id",),
    "customers": ("customer_id",),
    "stage_transitions": ("customer_id", "transitioned_at"),
    "customer_stages": ("customer_id",),
    "lead_scores": ("customer_id",),
    "collection_affinity": ("customer_id", "collection"),
    "segment_memberships": ("segment_id", "customer_id"),
    "lead_score_history": ("customer_id", "valid_from"),
    "customer_marketing_export": ("customer_id",),
    "shop_purchases": ("order_id",),
    "shop_customers": ("shop_id", "phone"),
    "shop_overview": ("shop_id",),
    "slug_performance": ("shop_id", "slug"),
    "network_preference": ("shop_id", "network"),
    "purchase_frequency": ("shop_id", "bucket"),
    "purchase_decay": ("shop_id", "bucket"),
    "seasonal_sales": ("shop_id", "month_of_year"),
    "loyalty_accounts": ("customer_id",),
    "points_lots": ("lot_id",),
    "gifts": ("gift_id",),
    "gift_claims": ("gift_claim_id",),
    "gift_overview": (),
    "coupons": ("coupon_id",),
    "coupon_uses": ("order_id", "code"),
    "coupon_overview": (),
    "client_journey": ("client_id",),
    "client_journey_scores": ("client_id",),
    "client_journey_score_history": ("client_id", "valid_from"),
    "client_next_actions": ("client_id",),
    "high_risk_clients": ("client_id",),
    "upsell_candidates": ("client_id",),
    "client_stage_path": ("client_id", "step"),
    "client_journey_overview": (),
    "winback_eligibility": ("campaign_id", "customer_id"),
    "winback_recipients": ("campaign_id", "customer_id"),
    "winback_performance": ("campaign_id",),
}
"""The marts that follow from the rules, and what identifies a row of each within its tenant."""
RULE_COLUMNS = (
    "tenant_id",
    "rule",
    "identifier_type_a",
    "identifier_a",
    "identifier_type_b",
    "identifier_b",
    "reason",
)
GIFTS_WITHOUT_CODE = """
    select tenant_id, id from raw.gifts
    where _is_current and (tenant_id, id) not in (select tenant_id, gift_id from outbox.gift_codes)
"""
GIVE_CODE = """
    insert into outbox.gift_codes (tenant_id, gift_id, code, created_at)
    values (%(tenant)s, %(gift)s, %(code)s, now())
"""

Databases = Callable[[], AbstractContextManager[str]]


class Project:
    """A private copy of the dbt project, whose tenants are the worlds of the moment."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.seeds = root / "seeds"
        self._landings = root / "landings"
        self._landings.mkdir(parents=True)
        self._count = 0
        self._folders = {
            DBT_PROJECT_DIR: root / "dbt_project",
            SEEDS_DIR: self.seeds,
            PROJECT_ROOT / "macros": root / "macros",
            PROJECT_ROOT / "tests" / "dbt": root / "tests" / "dbt",
        }
        for original, copy in self._folders.items():
            shutil.copytree(original, copy, ignore=shutil.ignore_patterns("target"))

    def point_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let loading and building use the copy."""
        project = self._folders[DBT_PROJECT_DIR]
        folders = tuple(self._folders.values())
        monkeypatch.setattr("orchestration.transform.DBT_PROJECT_DIR", project)
        monkeypatch.setattr("orchestration.transform.DBT_FOLDERS", folders)
        monkeypatch.setattr("orchestration.ingest.load.DBT_PROJECT_DIR", project)
        monkeypatch.setattr("orchestration.ingest.load.SEEDS_DIR", self.seeds)

    @contextmanager
    def own_seeds(self) -> Iterator[Path]:
        """The folder of the seeds, for changes that last as long as the block."""
        before = {seed: seed.read_bytes() for seed in self.seeds.iterdir()}
        try:
            yield self.seeds
        finally:
            for seed, content in before.items():
                seed.write_bytes(content)

    def warehouse(self, database_url: str, worlds: Iterable[World]) -> Warehouse:
        """An empty warehouse with a tenant for every world."""
        worlds = tuple(worlds)
        self._count += 1
        landing = self._landings / str(self._count)
        landing.mkdir()
        self._write_seeds(worlds)
        settings = Settings(
            home=self.home, database_url=SecretStr(database_url), landing=str(landing)
        )
        return Warehouse(settings, worlds)

    def _write_seeds(self, worlds: tuple[World, ...]) -> None:
        tenants = [world.tenant for world in worlds]
        self._write(
            "tenants",
            ("tenant_id", "name", "time_zone", "currency", "phone_region"),
            [(one.tenant_id, one.tenant_id, one.time_zone, one.currency, one.phone_region)
             for one in tenants],
        )  # fmt: skip
        with (SEEDS_DIR / "tenant_settings.csv").open(newline="") as opened:
            header, *defaults = csv.reader(opened)
        own = [
            (one.tenant_id, name, value, "days", "Drawn")
            for one in tenants
            for name, value in one.settings.items()
        ]
        self._write("tenant_settings", header, [*(row for row in defaults if row[0] == "*"), *own])
        with (SEEDS_DIR / "winback_campaign_definitions.csv").open(newline="") as opened:
            columns = next(csv.reader(opened))
        campaigns = [
            one.seed_row(world.tenant.tenant_id) for world in worlds for one in world.campaigns
        ]
        self._write(
            "winback_campaign_definitions",
            columns,
            [[row.get(column) for column in columns] for row in campaigns],
        )
        if (SEEDS_DIR / "identity_rules.csv").exists():
            rules = [
                (world.tenant.tenant_id, "always" if rule.is_always else "never",
                 *rule.a.split(":", 1), *rule.b.split(":", 1), "Drawn")
                for world in worlds
                for rule in world.rules
            ]  # fmt: skip
            self._write("identity_rules", RULE_COLUMNS, rules)

    def _write(self, seed: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        with (self.seeds / f"{seed}.csv").open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(header)
            writer.writerows(rows)


_ENROL = sqlalchemy.text(
    """
    insert into outbox.campaign_enrolments (
        tenant_id, campaign_id, customer_id, message_id, enrolled_at, is_held_out, build_id,
        created_at
    )
    values (
        :tenant_id, :campaign_id, :customer_id, :message_id, :enrolled_at, :is_held_out,
        gen_random_uuid(), :enrolled_at
    )
    on conflict do nothing
    """
)
_DELIVER = sqlalchemy.text(
    """
    insert into outbox.deliveries (
        message_id, tenant_id, customer_id, destination, operation, purpose, payload, state,
        reason, sent_at, created_at, updated_at
    )
    values (
        :message_id, :tenant_id, :customer_id, 'klaviyo', 'create_event', 'winback', '{}', :state,
        :reason, :sent_at, :at, :at
    )
    on conflict do nothing
    """
)


class Warehouse:
    """Loads the worlds' steps, builds, and gives what the marts hold."""

    def __init__(self, settings: Settings, worlds: tuple[World, ...]) -> None:
        self.settings = settings
        self.worlds = worlds

    def load(self, arriving: Iterable[tuple[World, int]]) -> None:
        """Load steps of worlds together, and clear them away."""
        landing = Path(self.settings.landing)
        for world, step in arriving:
            world.write(landing, step)
        database = engine(self.settings)
        try:
            report = load_landing(database, self.settings)
        finally:
            database.dispose()
        assert report.is_clean
        rejected = [one for one in report.files if one.rows_rejected]
        assert not rejected, rejected
        for folder in landing.iterdir():
            shutil.rmtree(folder)

    def load_all(self) -> None:
        """Load every step, in order."""
        for step in range(max(len(world.steps) for world in self.worlds)):
            self.load((world, step) for world in self.worlds if step < len(world.steps))

    def build(
        self, as_of: datetime, *, full_refresh: bool = False, marts: Sequence[str] = ()
    ) -> None:
        """Seeds and models, partly or wholly as a real build would; not the tests of the data.

        Where marts are named, only they and what they are made from are built. A gift without a
        code gets the one that the claims of a drawn world name.
        """
        parts = [f"+{mart}" for mart in marts]
        database = engine(self.settings)
        try:
            with database.begin() as connection:
                gifts = connection.exec_driver_sql(GIFTS_WITHOUT_CODE).all()
                for tenant_id, gift_id in gifts:
                    values = {"tenant": tenant_id, "gift": gift_id, "code": code_of(gift_id)}
                    connection.exec_driver_sql(GIVE_CODE, values)
            with building(database, as_of) as opened:
                covered = opened.coverage_before(project_fingerprint(), [])
                transform(
                    self.settings,
                    as_of,
                    since=None if full_refresh else covered,
                    select=parts or ["resource_type:seed", "resource_type:model"],
                    with_tests_of_selected=False,
                    full_refresh=full_refresh,
                ).require_success()
                opened.succeed("partial" if marts else "whole")
        finally:
            database.dispose()

    def record(self, tenant_id: str, outbox: Outbox) -> None:
        """Write enrolments and what became of their messages, as a sender would have."""
        database = engine(self.settings)
        try:
            with database.begin() as connection:
                for enrolment, delivery in outbox.items():
                    values = {
                        "tenant_id": tenant_id,
                        **vars(enrolment),
                        "message_id": message_id(
                            tenant_id, enrolment.campaign_id, enrolment.customer_id
                        ),
                    }
                    connection.execute(_ENROL, values)
                    if delivery is not None:
                        is_sent = delivery.state == "accepted"
                        outcome = {
                            "sent_at": delivery.at if is_sent else None,
                            "reason": None if is_sent else delivery.reason or delivery.state,
                        }
                        connection.execute(_DELIVER, {**values, **vars(delivery), **outcome})
        finally:
            database.dispose()

    def query(self, statement: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        database = engine(self.settings)
        try:
            with database.connect() as connection:
                return [dict(row) for row in connection.exec_driver_sql(statement).mappings()]
        finally:
            database.dispose()

    def tables(self, schema: str) -> list[str]:
        """The names of a schema's tables."""
        database = engine(self.settings)
        try:
            return sorted(sqlalchemy.inspect(database).get_table_names(schema=schema))
        finally:
            database.dispose()

    def contents(
        self, schemas: Iterable[str], leaving_out: Mapping[str, Iterable[str]] | None = None
    ) -> dict[tuple[str, str], Counter[str]]:
        """Per tenant and table every row as text, without the columns to leave out.

        No columns to leave out means a table that is left out as a whole.
        """
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for schema in schemas:
            for table in self.tables(schema):
                columns = list((leaving_out or {}).get(table, ("_",)))
                if not columns:
                    continue
                taken = ", ".join(f"'{column}'" for column in columns)
                for row in self.query(
                    f"select tenant_id, (to_jsonb(whole) - array[{taken}])::text as content "
                    f"from {schema}.{table} as whole"
                ):
                    found[row["tenant_id"], f"{schema}.{table}"][row["content"]] += 1
        return found

    def marts(self, tables: Iterable[str]) -> dict[str, dict[str, Rows]]:
        """Per tenant and table the rows by their key; of memberships only the open ones.

        A mart that does not exist has no rows.
        """
        found: dict[str, dict[str, Rows]] = defaultdict(lambda: defaultdict(dict))
        for table in sorted(set(tables).intersection(self.tables("marts"))):
            is_open = " where removed_at is null" if table == "segment_memberships" else ""
            for row in self.query(f"select * from marts.{table}{is_open}"):
                key = tuple(row[name] for name in KEYS[table])
                assert key not in found[row["tenant_id"]][table], f"{table}: {key} twice"
                found[row["tenant_id"]][table][key] = row
        return found


def differences(expected: Rows, actual: Rows) -> list[str]:
    """What differs, row by row; of the actual columns only those that are expected."""
    found = [f"missing: {key} {expected[key]}" for key in expected.keys() - actual.keys()]
    found += [f"too much: {key} {actual[key]}" for key in actual.keys() - expected.keys()]
    for key in expected.keys() & actual.keys():
        for column, value in expected[key].items():
            if actual[key][column] != value:
                found.append(f"{key}: {column} is {actual[key][column]!r}, by the rules {value!r}")
    return sorted(found)


def outbox_of(world: World, seeds: Seeds, as_of: datetime) -> Outbox:
    """What campaigns did to the people of a world."""
    people = derive(world.loaded(), world.tenant, seeds, world.rules, as_of).people
    return draw_outbox(world.seed, world.campaigns, people, as_of)


def expected_marts(world: World, seeds: Seeds, as_of: datetime) -> Marts:
    """What the rules say of a world whose outbox holds `outbox_of`."""
    outbox = outbox_of(world, seeds, as_of)
    return derive(world.loaded(), world.tenant, seeds, world.rules, as_of, world.campaigns, outbox)


def disagreements(
    warehouse: Warehouse, seeds: Seeds, as_of: datetime, tables: Sequence[str]
) -> dict[World, list[str]]:
    """What the marts say otherwise than the rules, for every world where they do.

    Every line begins with the name of its mart.
    """
    actual = warehouse.marts(tables)
    found: dict[World, list[str]] = {}
    for world in warehouse.worlds:
        expected = expected_marts(world, seeds, as_of).tables
        mine = actual[world.tenant.tenant_id]
        wrong = [
            f"{table}: {line}"
            for table in tables
            for line in differences(expected[table], mine[table])
        ]
        if wrong:
            found[world] = wrong
    return found


def shrink(world: World, failing: Callable[[list[World]], list[World]]) -> World:
    """A smaller world that still fails; every attempt of a round is a tenant of one build."""
    while attempts := _attempts(world):
        smaller = failing(attempts)
        if not smaller:
            break
        world = min(smaller, key=lambda one: len(one.rows()))
    return world


def _attempts(world: World) -> list[World]:
    """The world without each half, quarter and so on of its rows, down to each single row."""
    rows = world.rows()
    pieces: list[set[tuple[int, int, int]]] = []
    size = len(rows) // 2
    while size:
        pieces += [set(rows[start : start + size]) for start in range(0, len(rows), size)]
        size //= 2
    return [
        replace(
            world.without(piece),
            tenant=replace(world.tenant, tenant_id=f"{world.tenant.tenant_id[:7]}-{number}"),
        )
        for number, piece in enumerate(pieces)
    ]
