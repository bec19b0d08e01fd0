"""Who is who, measured on a town whose truth is known.

Shared phones and tablets, box offices, recycled numbers, junk and typing errors must not make two
people one customer; one person under several identifiers should be found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from tests.reference.planted import Item, Quality, Town, plant, quality
from tests.reference.seeds import Tenant
from tests.reference.warehouse import Warehouse

from .conftest import Worlds

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
SEED, PEOPLE = 11, 20_000 if os.environ.get("JOURNEY_LONG") == "1" else 2_000
LEAST_PRECISION, LEAST_RECALL = 0.999, 0.9
TOWNS = tuple(
    Tenant(name, "Europe/Berlin", "EUR", "DE") for name in ("town", "town-of-the-same-people")
)

Found = Mapping[Item, str]


@pytest.fixture(scope="module")
def town() -> Town:
    return plant(SEED, PEOPLE)


@pytest.fixture(scope="module")
def found(town: Town, worlds_warehouse: Worlds) -> dict[str, Found]:
    """The customer of every identifier and order, per tenant; both have the same records."""
    with worlds_warehouse([town.world(tenant) for tenant in TOWNS]) as warehouse:
        warehouse.load_all()
        warehouse.build(AS_OF, marts=["customer_identities", "orders"])
        return {tenant.tenant_id: _found(warehouse, tenant.tenant_id) for tenant in TOWNS}


@pytest.mark.long
def test_two_people_are_not_one_customer(town: Town, found: dict[str, Found]) -> None:
    """Prevents one person's orders in another one's story because they share a phone."""
    measured = quality(town.truth, found[TOWNS[0].tenant_id])
    assert measured.precision >= LEAST_PRECISION, _told(measured, town, found)


@pytest.mark.long
def test_one_person_is_one_customer(town: Town, found: dict[str, Found]) -> None:
    """Prevents guards that are so careful that nobody is recognised any more."""
    measured = quality(town.truth, found[TOWNS[0].tenant_id])
    assert measured.recall >= LEAST_RECALL, _told(measured, town, found)


@pytest.mark.long
def test_nobody_is_known_across_tenants(town: Town, found: dict[str, Found]) -> None:
    """Prevents two businesses from sharing a customer because they share an address."""
    first, second = (found[tenant.tenant_id] for tenant in TOWNS)
    assert not set(first.values()) & set(second.values())
    assert quality(town.truth, first) == quality(town.truth, second)


def _found(warehouse: Warehouse, tenant_id: str) -> Found:
    identities = warehouse.query(
        "select identifier_type, identifier, customer_id from marts.customer_identities "
        f"where tenant_id = '{tenant_id}'"
    )
    orders = warehouse.query(
        f"select order_id, customer_id from marts.orders where tenant_id = '{tenant_id}'"
    )
    return {
        **{(row["identifier_type"], row["identifier"]): row["customer_id"] for row in identities},
        **{("order", row["order_id"]): row["customer_id"] for row in orders},
    }


def _told(measured: Quality, town: Town, found: dict[str, Found]) -> str:
    """The numbers, and the customer that holds most people."""
    people: dict[str, set[int]] = {}
    for item, customer_id in found[TOWNS[0].tenant_id].items():
        if item in town.truth:
            people.setdefault(customer_id, set()).add(town.truth[item])
    customer_id, merged = max(people.items(), key=lambda one: len(one[1]))
    items = sorted(
        item for item, owner in found[TOWNS[0].tenant_id].items() if owner == customer_id
    )
    return (
        f"precision {measured.precision:.4f}, recall {measured.recall:.4f}; "
        f"{sum(len(one) > 1 for one in people.values())} customers are several people, the largest "
        f"{len(merged)}: {items[:20]}"
    )
