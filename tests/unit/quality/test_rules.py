"""What people write into the quality rules by mistake, and which rules hold for a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.activation.message import OUTPUTS
from orchestration.ingest.contracts import read_contracts
from orchestration.quality.freshness import Cadence, judge, read_cadences
from orchestration.quality.rules import Rule, read_rules, rule_faults, rules_for
from orchestration.seeds.check import read_seeds
from orchestration.seeds.declarations import read_declarations
from orchestration.seeds.files import Row, SeedError
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR

CONTRACTS = read_contracts(DBT_PROJECT_DIR)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def line(**values: str) -> Row:
    return Row(7, {"severity": "error", "description": "Because", **values})


def faults(**values: str) -> list[str]:
    return list(rule_faults(line(**values), CONTRACTS, OUTPUTS.values()))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"table_name": "raw.orders", "rule": "fits_contract", "share": "1"},
            "table_name: there is no raw.orders; write raw.<source> or sync.<model>",
        ),
        (
            {"table_name": "marts.customers", "rule": "fits_contract", "share": "1"},
            "table_name: there is no marts.customers; write raw.<source> or sync.<model>",
        ),
        (
            {"table_name": "sync.*", "rule": "fits_contract", "share": "1"},
            "rule: fits_contract is no rule for the schema sync",
        ),
        (
            {"table_name": "raw.*", "rule": "messages_per_purpose", "maximum": "1"},
            "rule: messages_per_purpose is no rule for the schema raw",
        ),
        (
            {"table_name": "raw.leads", "rule": "fits_contract"},
            "share: fits_contract needs a value",
        ),
        (
            {"table_name": "raw.leads", "rule": "rows_per_load"},
            "minimum or maximum: rows_per_load needs a value",
        ),
        (
            {"table_name": "raw.*", "rule": "rows_per_load", "maximum": "1", "from_rows": "5"},
            "from_rows: rows_per_load has no use for it; empty it",
        ),
        (
            {
                "table_name": "raw.leads",
                "column_name": "email",
                "rule": "filled",
                "share": "1",
                "minimum": "1",
            },
            "minimum: filled has no use for it; empty it",
        ),
        (
            {"table_name": "raw.*", "column_name": "email", "rule": "filled", "share": "1"},
            "column_name: a rule about a column names its table",
        ),
        (
            {"table_name": "raw.leads", "column_name": "mail", "rule": "filled", "share": "1"},
            "column_name: leads has no column mail",
        ),
        (
            {
                "table_name": "raw.leads",
                "column_name": "email",
                "rule": "between",
                "share": "1",
                "maximum": "5",
            },
            "column_name: email holds no numbers",
        ),
        (
            {
                "table_name": "raw.shop_visits",
                "column_name": "order_id",
                "rule": "refers_to",
                "share": "1",
                "value_list": "shop_orders",
            },
            "value_list: there is no shop_orders; write it like contacts.id",
        ),
    ],
)
def test_a_rule_that_cannot_be_asked_is_told(values: dict[str, str], words: str) -> None:
    """Prevents: a rule that does nothing, because of a slip of the pen, without a word."""
    assert faults(**values) == [words]


def test_every_rule_of_the_project_can_be_asked() -> None:
    """Prevents: a release whose builds all stop at their first check."""
    seeds = read_seeds(SEEDS_DIR, read_declarations(SEEDS_DIR))
    rules = read_rules(seeds, CONTRACTS, OUTPUTS.values())
    assert {rule.rule for rule in rules} == {
        "filled", "between", "one_of", "refers_to",
        "fits_contract", "rows_per_load", "messages_per_purpose",
    }  # fmt: skip
    assert read_cadences(seeds, CONTRACTS)[("*", "*")].every == timedelta(hours=24)
    seeds["quality_rules"].rows.append(line(table_name="raw.orders", rule="fits_contract"))
    with pytest.raises(SeedError, match=r"seeds/quality_rules\.csv line 7: table_name: there is"):
        read_rules(seeds, CONTRACTS, OUTPUTS.values())


def test_a_tables_own_rule_replaces_that_of_every_table() -> None:
    """Prevents: a threshold loosened for one table that the general one goes on holding."""
    general = Rule("raw.*", "", "fits_contract", "warn", 2)
    graver = Rule("raw.*", "", "fits_contract", "error", 3)
    own = Rule("raw.leads", "", "fits_contract", "warn", 4)
    other = Rule("sync.*", "", "messages_per_purpose", "error", 5)
    rules = [general, graver, own, other]
    assert rules_for("raw.leads", rules) == [own, graver]
    assert rules_for("raw.contacts", rules) == [general, graver]
    assert rules_for("sync.model", rules) == [other]


def cadences() -> Iterator[tuple[tuple[str, str], Cadence]]:
    for number, key in enumerate([("*", "*"), ("*", "leads"), ("a", "*"), ("a", "leads")], 2):
        yield key, Cadence(timedelta(hours=10 * number), timedelta(hours=1), number)


@pytest.mark.parametrize(
    ("tenant_id", "source", "hours", "row"),
    [("b", "gifts", 21, 2), ("b", "leads", 31, 3), ("a", "gifts", 41, 4), ("a", "leads", 51, 5)],
)
def test_a_source_is_late_after_its_own_cadence_and_slack(
    tenant_id: str, source: str, hours: int, row: int
) -> None:
    """Prevents: a tenant's cadence that is passed over, and a warning before the slack is over."""
    for late_by, is_late in ((timedelta(0), False), (timedelta(seconds=1), True)):
        loaded_at = NOW - timedelta(hours=hours) - late_by
        (age,) = judge({(tenant_id, source): loaded_at}, dict(cadences()), NOW)
        assert (age.is_late, age.line) == (is_late, row)


def test_a_source_without_a_cadence_is_never_late() -> None:
    """Prevents: warnings about sources that nobody expects regularly."""
    assert judge({("a", "leads"): NOW - timedelta(days=900)}, {}, NOW) == []
