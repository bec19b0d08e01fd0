"""The sample's content: people, stories, and the cases that the rules need."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import phonenumbers
import pytest

from orchestration.sample.generate import SampleReport, generate
from orchestration.sample.hero import HERO_EMAIL, HERO_WORK_EMAIL
from orchestration.sample.loyalty import referral_code
from orchestration.sample.people import ARCHETYPES, make_people, subscriber, written_phone
from orchestration.sample.world import (
    AS_OF,
    AURORA,
    BLUEGUM,
    DAY,
    KENTE,
    LATE,
    START,
    TENANTS,
    Tenant,
)

from .plain_reading import good_rows

PHONE_COLUMNS = {
    "shopify_orders": ("phone",),
    "humanitix_orders": ("mobile",),
    "shop_orders": ("phone_number",),
    "shop_visits": ("phone",),
    "touchpoints": ("phone",),
    "leads": ("phone",),
    "klaviyo_profiles": ("phone_number",),
    "consent_changes": ("phone",),
    "erasure_requests": ("phone",),
}
NOT_PHONES = {"n/a", "00000000000", "1111111111", "0000000000"}
HISTORY = datetime.fromtimestamp(START, UTC), datetime.fromtimestamp(AS_OF, UTC)


def _newest(rows: Any, key: str, version: str) -> dict[str, dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row[key] not in newest or row[version] > newest[row[key]][version]:
            newest[row[key]] = row
    return newest


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.tenant_id)
def test_phone_numbers_are_valid_and_all_different(tenant: Tenant) -> None:
    """Prevents made-up phones that the library refuses, or that merge strangers."""
    numbers = [*range(3_000), *range(600_000, 600_100)]
    national = [subscriber(tenant, number) for number in numbers]
    assert len(set(national)) == len(numbers)
    for number, digits in zip(numbers, national, strict=True):
        parsed = phonenumbers.parse(written_phone(tenant, digits, number), tenant.region)
        assert phonenumbers.is_valid_number(parsed), digits
        assert str(parsed.national_number) == digits


def test_phones_in_the_files_are_of_the_region(landing: Path) -> None:
    """Prevents a source that writes phones the tenant's region cannot read."""
    regions = {tenant.tenant_id: tenant.region for tenant in TENANTS}
    checked = Counter[str]()
    for path in landing.glob("*/*"):
        tenant, source = path.parent.name, path.name
        for row in good_rows(landing, tenant, source):
            for column in PHONE_COLUMNS.get(source, ()):
                if row[column] and row[column] not in NOT_PHONES:
                    parsed = phonenumbers.parse(row[column], regions[tenant])
                    assert phonenumbers.is_valid_number(parsed), (source, row[column])
                    checked[tenant] += 1
    assert min(checked[tenant] for tenant in regions) > 100


@pytest.mark.parametrize(("customers", "seed"), [(20, 1), (300, 99)])
def test_the_hero_is_there_at_any_size_and_seed(tmp_path: Path, customers: int, seed: int) -> None:
    """Prevents a demo that ends with the story of nobody."""
    landing = generate(tmp_path / "landing", customers, seed).directory
    orders = _newest(good_rows(landing, "aurora", "shopify_orders"), "id", "updated_at")
    mine = sorted(
        (
            order
            for order in orders.values()
            if order["email"] in (HERO_EMAIL, HERO_WORK_EMAIL) and not order["test"]
        ),
        key=lambda order: order["created_at"],
    )
    assert [order["email"] for order in mine].count(HERO_WORK_EMAIL) == 1
    assert mine[1]["financial_status"] == "partially_refunded"
    phones = {
        phonenumbers.format_number(
            phonenumbers.parse(order["phone"], "DE"), phonenumbers.PhoneNumberFormat.E164
        )
        for order in mine
    }
    assert len(phones) == 1
    assert mine[-1]["created_at"].startswith("2026-06")
    assert sum(float(order["total_price"]) for order in mine) > 500
    touchpoints = sorted(
        (
            (row["occurred_at"], row["type"])
            for row in good_rows(landing, "aurora", "touchpoints")
            if row["email"] == HERO_EMAIL or (row["anonymous_id"] or "").startswith("anon-mara")
        ),
    )
    kinds = [kind for _, kind in touchpoints]
    assert kinds[0] == "pin_click"
    assert kinds.index("pin_save") < kinds.index("quiz_complete") < kinds.index("lead_capture")
    assert kinds.index("lead_capture") < kinds.index("email_click") < kinds.index("purchase")
    assert [row for row in good_rows(landing, "aurora", "gifts") if row["id"] == "gift-mara"]


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda tenant: tenant.tenant_id)
def test_every_kind_of_person_has_a_fair_share(tenant: Tenant) -> None:
    """Prevents a demo in which some stage of the journey is empty."""
    people = make_people(tenant, seed=7, first=0, size=2_000)
    column = TENANTS.index(tenant)
    counts = Counter(ARCHETYPES[code].name for code in people.archetype.tolist())
    for archetype in ARCHETYPES:
        share = archetype.shares[column]
        assert (counts[archetype.name] > 0) == (share > 0)
        assert counts[archetype.name] / 2_000 == pytest.approx(share, abs=0.03)

    last_order = np.zeros(len(people), dtype=np.int64)
    np.maximum.at(last_order, people.order_person, people.order_at)
    bought = np.bincount(people.order_person, minlength=len(people))
    days = (AS_OF - last_order) // DAY
    one_time = bought == 1
    assert (one_time & (days <= 90)).sum() > 100
    assert (one_time & (days > 90)).sum() > 100
    assert ((bought >= 2) & (days <= 120)).sum() > 100
    assert ((bought >= 2) & (days > 120)).sum() > 50
    assert ((AS_OF - people.last_seen) // DAY > 180).sum() > 50
    assert (people.first_seen >= START).all()
    assert (people.order_at >= people.first_seen[people.order_person]).all()
    assert (people.order_at <= people.last_seen[people.order_person]).all()
    assert 1.5 < len(people.order_at) / len(people) < 2.6


def test_nothing_happens_outside_the_history(landing: Path) -> None:
    """Prevents rows that the sample's as-of would hide from every mart."""
    columns = {
        "shopify_orders": "updated_at",
        "eventbrite_orders": "changed",
        "humanitix_tickets": "updatedAt",
        "shop_orders": "updated_at",
        "shop_visits": "accessed_at",
        "touchpoints": "occurred_at",
        "leads": "captured_at",
        "klaviyo_profiles": "updated",
        "consent_changes": "changed_at",
        "client_journey_events": "occurred_at",
        "redemption_requests": "requested_at",
        "gift_claims": "claimed_at",
    }
    for path in landing.glob("*/*"):
        if path.name in columns:
            for row in good_rows(landing, path.parent.name, path.name):
                at = datetime.fromisoformat(row[columns[path.name]])
                assert HISTORY[0] - timedelta(days=365) < at < HISTORY[1], (path, row)


def test_shopify_orders_tell_every_payment_story(landing: Path) -> None:
    """Prevents money rules that the demo data never reaches."""
    rows = list(good_rows(landing, "aurora", "shopify_orders"))
    orders = _newest(rows, "id", "updated_at").values()
    assert {order["financial_status"] for order in orders} >= {
        "paid",
        "partially_refunded",
        "refunded",
        "voided",
        "pending",
        "authorized",
        "expired",
    }
    assert {order["currency"] for order in orders} == {"EUR", "USD", "GBP"}
    kinds = {(move["kind"], move["status"]) for order in orders for move in order["transactions"]}
    assert kinds >= {
        ("sale", "success"),
        ("sale", "failure"),
        ("authorization", "success"),
        ("capture", "success"),
        ("void", "success"),
        ("refund", "success"),
    }
    assert any(order["test"] for order in orders)
    assert any(float(order["total_price"]) == 0 for order in orders)
    assert any(order["customer"] is None for order in orders)
    assert any(len(order["refunds"]) == 2 for order in orders)
    assert any(
        order["cancelled_at"] and order["financial_status"] == "refunded" for order in orders
    )
    codes = {code["code"] for order in orders for code in order["discount_codes"]}
    assert codes >= {"WELCOME10", "welcome10", "COMEBACK15", "FREESHIP"}
    versions = Counter((row["id"], row["updated_at"]) for row in rows)
    assert max(versions.values()) > 1, "no unchanged repeat"
    for order in orders:
        lines = sum(float(line["price"]) * line["quantity"] for line in order["line_items"])
        discounted = lines - float(order["total_discounts"])
        assert float(order["subtotal_price"]) == pytest.approx(discounted)
        back = sum(
            float(move["amount"]) for refund in order["refunds"] for move in refund["transactions"]
        )
        assert round(back, 2) <= float(order["total_price"])


def test_ticket_orders_tell_their_stories(landing: Path) -> None:
    """Prevents event rules that the demo data never reaches."""
    eventbrite = _newest(good_rows(landing, "bluegum", "eventbrite_orders"), "id", "changed")
    assert {order["status"] for order in eventbrite.values()} >= {
        "placed",
        "refunded",
        "cancelled",
        "abandoned",
        "unpaid",
    }
    assert any(order["costs"]["gross"]["value"] == 0 for order in eventbrite.values())
    humanitix = _newest(good_rows(landing, "bluegum", "humanitix_orders"), "_id", "updatedAt")
    assert {order["financialStatus"] for order in humanitix.values()} == {
        "pending",
        "paid",
        "free",
        "partiallyRefunded",
        "refunded",
    }
    assert {order["currency"] for order in humanitix.values()} == {"AUD", "NZD"}
    assert any(order["isTest"] for order in humanitix.values())
    seats = _newest(good_rows(landing, "bluegum", "eventbrite_attendees"), "id", "changed")
    assert {seat["order_id"] for seat in seats.values()} <= set(eventbrite)
    assert any(seat["refunded"] for seat in seats.values())
    office_buyers = defaultdict(set)
    for order in humanitix.values():
        if order["mobile"]:
            parsed = phonenumbers.parse(order["mobile"], "AU")
            office_buyers[str(parsed.national_number)].add(order["email"].strip().lower())
    offices = [office_buyers[subscriber(BLUEGUM, office)] for office in range(3)]
    assert max(map(len, offices)) > 3, "no box office phone above the cap"


def test_shops_know_their_buyers_by_phone(landing: Path) -> None:
    """Prevents shop rules that the demo data never reaches."""
    orders = _newest(good_rows(landing, "kente", "shop_orders"), "id", "updated_at")
    assert {order["network"] for order in orders.values()} >= {"MTN", "Telecel", "AirtelTigo"}
    assert {order["status"] for order in orders.values()} == {
        "pending",
        "paid",
        "partially_refunded",
        "refunded",
        "cancelled",
        "failed",
    }
    shops_of = defaultdict(set)
    for order in orders.values():
        national = phonenumbers.parse(order["phone_number"], "GH").national_number
        shops_of[national].add(order["shop_id"])
    assert any(len(shops) > 1 for shops in shops_of.values())
    visits = list(good_rows(landing, "kente", "shop_visits"))
    converted = {visit["order_id"] for visit in visits if visit["order_id"]}
    assert converted <= set(orders)
    assert len(converted) > len(orders) / 2
    repeats = Counter(tuple(visit.values()) for visit in visits if visit["id"] is None)
    assert max(repeats.values()) > 1


def test_touchpoints_cover_types_channels_and_both_kinds_of_purchase(landing: Path) -> None:
    """Prevents a purchase counted twice, or lost, without the demo showing it."""
    rows = list(good_rows(landing, "aurora", "touchpoints"))
    assert len({row["type"] for row in rows}) == 16
    assert len({row["channel"] for row in rows if row["channel"]}) == 7
    orders = {str(order["id"]) for order in good_rows(landing, "aurora", "shopify_orders")}
    purchases = [row["reference_id"] for row in rows if row["type"] == "purchase"]
    assert sum(reference in orders for reference in purchases) > 100
    assert any(reference not in orders for reference in purchases)
    assert all(row["value"] for row in rows if row["type"] == "purchase")
    repeats = Counter(tuple(row.values()) for row in rows)
    assert any(count > 1 and not row[0] for row, count in repeats.items())
    assert any(count > 1 and row[0] for row, count in repeats.items())
    known_later = [row for row in rows if row["anonymous_id"] and row["email"]]
    assert {row["type"] for row in known_later} >= {"quiz_complete", "lead_capture"}
    assert any(row["email"] != row["email"].strip().lower() for row in rows if row["email"])
    late = landing / "aurora" / "touchpoints" / f"{LATE}.csv"
    with late.open() as file:
        assert all(row["occurred_at"] < "2026-05-03" for row in csv.DictReader(file))


def test_consent_segments_and_clients_have_their_edge_cases(landing: Path) -> None:
    """Prevents rules about consent, stays and clients that the demo data never reaches."""
    changes = list(good_rows(landing, "aurora", "consent_changes"))
    assert {change["subscribed"] for change in changes} == {"true", "false"}
    profiles = _newest(good_rows(landing, "aurora", "klaviyo_profiles"), "id", "updated")
    assert {profile["email_consent"] for profile in profiles.values()} == {
        "subscribed",
        "unsubscribed",
        "never_subscribed",
    }
    assert any(profile["email_suppressed"] == "true" for profile in profiles.values())
    members = list(good_rows(landing, "aurora", "static_segment_members"))
    assert {member["segment_id"] for member in members} == {"founders-circle", "press-list"}
    assert any(member["removed_at"] is None for member in members)
    assert any(
        member["removed_at"] and datetime.fromisoformat(member["removed_at"]) > HISTORY[1]
        for member in members
    )
    clients = _newest(good_rows(landing, "aurora", "contacts"), "id", "updated_at")
    scores = {client["ai_score"] for client in clients.values()}
    assert {None, "0", "100"} <= scores
    events = list(good_rows(landing, "aurora", "client_journey_events"))
    assert len({event["stage"] for event in events}) == 9
    kinds = {event["event_type"] for event in events}
    assert kinds >= {"invoice_overdue", "invoice_paid", "support_ticket", "feature_used"}
    assert any('"negative"' in (event["metadata"] or "") for event in events)
    rewards = {row["reward_id"] for row in good_rows(landing, "aurora", "redemption_requests")}
    assert rewards >= {"reward-5-off", "reward-free-shipping", "reward-mug", "reward-vip-preview"}


def test_referral_codes_are_those_of_the_warehouse(landing: Path) -> None:
    """Prevents friends with codes that no member has: the value is what the macros make of it."""
    assert referral_code("aurora", HERO_EMAIL) == "2J4J4Y2R"
    orders = {str(order["id"]) for order in good_rows(landing, "aurora", "shopify_orders")}
    referrals = good_rows(landing, "aurora", "referrals")
    assert {row["order_id"] for row in referrals if row["order_id"]} <= orders
    assert any(row["order_id"] is None for row in referrals)
    assert any(
        row["referral_code"] == referral_code("aurora", row["referred_email"]) for row in referrals
    ), "nobody refers themselves"


def test_the_truth_is_in_the_files(sample: SampleReport, landing: Path) -> None:
    """Prevents an identity test that looks for somebody who never appears."""
    with (sample.manifest / "truth.csv").open() as file:
        truth = list(csv.DictReader(file))
    assert len({tuple(row.values()) for row in truth}) == len(truth)
    emails = defaultdict(set)
    for path in landing.glob("*/*"):
        for row in good_rows(landing, path.parent.name, path.name):
            customer = row.get("customer") or {}
            for value in (row.get("email"), row.get("sender_email"), customer.get("email")):
                if value:
                    normal = unicodedata.normalize("NFC", value).strip().lower()
                    emails[path.parent.name].add(normal)
    for row in truth:
        if row["identifier_type"] == "email":
            assert row["identifier"] in emails[row["tenant_id"]], row
    people_of = defaultdict(set)
    for row in truth:
        people_of[row["tenant_id"], row["identifier_type"], row["identifier"]].add(row["person_id"])
    shared = {key: people for key, people in people_of.items() if len(people) > 1}
    assert {kind for _, kind, _ in shared} == {"phone"}, "only households share, and only phones"
    assert max(map(len, shared.values())) == 2
    assert {tenant for tenant, _, _ in people_of} == {
        AURORA.tenant_id,
        BLUEGUM.tenant_id,
        KENTE.tenant_id,
    }
