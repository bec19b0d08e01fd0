"""The declarations that everything else starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestration.ingest.contracts import Contract, parse_contract, raw_table_ddl, read_contracts
from orchestration.ingest.errors import ContractError, TenantsError
from orchestration.ingest.tenants import read_tenants
from orchestration.settings import DBT_PROJECT_DIR, SEEDS_DIR

REQUIRED_SOURCES = {
    "shopify_orders", "eventbrite_orders", "eventbrite_attendees", "humanitix_orders",
    "humanitix_tickets", "shop_orders", "shop_visits", "touchpoints", "leads",
    "klaviyo_profiles", "consent_changes", "contacts", "client_journey_events", "referrals",
    "redemption_requests", "loyalty_adjustments", "gifts", "gift_claims", "coupons",
    "static_segment_members", "erasure_requests",
}  # fmt: skip


def table(**changes: Any) -> dict[str, Any]:
    declared: dict[str, Any] = {
        "name": "things",
        "config": {"meta": {"key": ["id"], "version": "updated_at"}},
        "columns": [
            {"name": "id", "data_type": "text", "config": {"meta": {"required": True}}},
            {"name": "updated_at", "data_type": "timestamptz"},
        ],
    }
    return {**declared, **changes}


def test_every_source_has_a_contract() -> None:
    """Prevents a promised source from being refused as unknown."""
    contracts = read_contracts(DBT_PROJECT_DIR)
    assert set(contracts) >= REQUIRED_SOURCES
    assert contracts["touchpoints"].key_required is False
    assert contracts["shopify_orders"].version == "updated_at"


def test_a_contract_is_read_whole() -> None:
    """Prevents a declared rule from being ignored silently."""
    contract = parse_contract(table(), "file.yml")
    assert contract == Contract("things", "", contract.columns, key=("id",), version="updated_at")
    assert contract.column("id").required
    create, unique, by_load, _ = raw_table_ddl(contract)
    assert '"updated_at" timestamptz' in create
    assert "nulls not distinct where _is_current" in unique
    assert 'brin (_load_id, "updated_at")' in by_load


def test_the_rules_of_a_column_are_read() -> None:
    """Prevents a limit that is declared, but never checked."""
    columns = [
        column("bigint", minimum=0, maximum=100),
        {
            "name": "data",
            "data_type": "jsonb",
            "config": {"meta": {"amounts": ["lines.price"], "texts": ["id"]}},
        },
    ]
    number, data = parse_contract(
        table(columns=columns, config={"meta": {"key": ["id"]}}), ""
    ).columns
    assert (number.minimum, number.maximum) == (0, 100)
    assert (data.amounts, data.texts) == (("lines.price",), ("id",))


def column(data_type: str, **meta: Any) -> dict[str, Any]:
    return {"name": "id", "data_type": data_type, "config": {"meta": meta}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Bad-Name"}, "is not a source name"),
        ({"columns": []}, "no columns"),
        ({"config": {"meta": {}}}, "meta.key is missing"),
        ({"config": {"meta": {"key": "id"}}}, "must be a list"),
        ({"config": {"meta": {"key": ["other"]}}}, "names other, which is not a column"),
        ({"config": {"meta": {"key": ["id"], "keys": 1}}}, "unknown meta keys"),
        ({"columns": [{"name": "id", "data_type": "varchar"}]}, "data_type 'varchar' is none of"),
        ({"columns": [{"name": "_line", "data_type": "text"}]}, "reserved"),
        ({"columns": [{"name": "id", "data_type": "text"}] * 2}, "declared twice"),
        (
            {"columns": [column("bigint", allowed=["1"])]},
            "for text columns only",
        ),
        (
            {"columns": [column("text", required="y")]},
            "must be true or false",
        ),
        ({"columns": [column("text", minimum=0)]}, "numeric and bigint columns only"),
        ({"columns": [column("bigint", minimum="0")]}, "minimum must be a whole number"),
        ({"columns": [column("bigint", maximum=True)]}, "maximum must be a whole number"),
        ({"columns": [column("bigint", minimum=2, maximum=1)]}, "minimum 2 is above maximum 1"),
        ({"columns": [column("text", amounts=["a"])]}, "amounts are for jsonb columns only"),
        ({"columns": [column("jsonb", amounts="a.b")]}, "must be a list of texts"),
        ({"columns": [column("jsonb", texts=["a..b"])]}, "'a..b' is not a path"),
        ({"columns": [column("text", required_for=["a"])]}, "names one column with its kinds"),
        ({"columns": [column("text", required_for={"a": "b"})]}, "must be a list of texts"),
        ({"columns": [column("text", required_for={"a": ["b"]})]}, "names a, which is no"),
    ],
)  # fmt: skip
def test_a_malformed_contract_is_named(changes: dict[str, Any], words: str) -> None:
    """Prevents a typing error in a declaration from switching a rule off."""
    with pytest.raises(ContractError, match=r"file\.yml") as caught:
        parse_contract(table(**changes), "file.yml")
    assert words in str(caught.value)


def test_a_project_without_contracts_is_named(tmp_path: Path) -> None:
    """Prevents a wrong folder from looking like a warehouse without sources."""
    with pytest.raises(ContractError, match="no contract found"):
        read_contracts(tmp_path)


def test_the_tenants_of_the_project_are_sound() -> None:
    """Prevents a seed that every load would trip over."""
    assert read_tenants(SEEDS_DIR / "tenants.csv")


TENANTS = "tenant_id,name,time_zone,currency,phone_region\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("tenant_id,name\n", "line 1: column time_zone, currency, phone_region is missing"),
        (TENANTS + "a,A,Europe/Berlin,EUR,DE\na,B,Europe/Berlin,EUR,DE\n", "line 3: tenant a"),
        (TENANTS + "../a,A,Europe/Berlin,EUR,DE\n", "line 2: tenant_id '../a'"),
        (TENANTS + "a,A,Europe/Atlantis,EUR,DE\n", "time_zone 'Europe/Atlantis' is unknown"),
        (TENANTS + "a,A,Europe/Berlin,euro,DE\n", "currency 'euro'"),
        (TENANTS + "a,A,Europe/Berlin,EUR,49\n", "phone_region '49'"),
    ],
)
def test_a_list_of_tenants_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, words: str
) -> None:
    """Prevents customers of one tenant from getting another's zone, currency or numbers."""
    file = tmp_path / "tenants.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(TenantsError) as caught:
        read_tenants(file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)
