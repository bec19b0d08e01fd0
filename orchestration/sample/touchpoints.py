"""Touchpoints by the million: drawn in numpy, written through Arrow, split by month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestration.sample.people import (
    ANONYMOUS,
    ANONYMOUS_2,
    ARCHETYPES,
    EMAIL,
    EMAIL_2,
    KLAVIYO,
    PHONE,
    SHOPIFY,
    VISITOR,
    Bools,
    Ints,
    People,
    PlacedOrders,
    written_email,
    written_phone,
)
from orchestration.sample.touchpoint_rows import INSTANT, SCHEMA, cents_to_amounts
from orchestration.sample.world import AS_OF, AURORA, COLLECTIONS, DAY, LATE, PERIODS, SOURCES
from orchestration.sample.writers import Landing

TYPES = (
    "page_view",
    "email_open",
    "email_click",
    "email_unsubscribe",
    "pin_save",
    "pin_click",
    "ad_click",
    "quiz_start",
    "quiz_complete",
    "lead_capture",
    "cart_add",
    "checkout_start",
    "checkout_abandon",
    "purchase",
    "review",
    "support_ticket",
)
_CODE = {name: code for code, name in enumerate(TYPES)}
_BEFORE_KNOWN = {
    "page_view": 0.62,
    "pin_save": 0.08,
    "pin_click": 0.08,
    "ad_click": 0.08,
    "quiz_start": 0.05,
    "cart_add": 0.05,
    "checkout_start": 0.02,
    "checkout_abandon": 0.02,
}
_WHEN_KNOWN = {
    "page_view": 0.34,
    "email_open": 0.31,
    "email_click": 0.12,
    "pin_save": 0.04,
    "pin_click": 0.04,
    "ad_click": 0.02,
    "quiz_start": 0.01,
    "cart_add": 0.06,
    "checkout_start": 0.02,
    "checkout_abandon": 0.02,
    "review": 0.01,
    "support_ticket": 0.01,
}
_CHANNELS = ("organic", "pinterest", "email", "ads", "direct", "referral", "social")
_FIXED_CHANNEL = {
    "email_open": 2,
    "email_click": 2,
    "email_unsubscribe": 2,
    "pin_save": 1,
    "pin_click": 1,
    "ad_click": 3,
}
# Campaign names by channel; organic and direct visits carry none.
_UTM = {
    "pinterest": ("pinterest", "social", "pins"),
    "email": ("klaviyo", "email", "newsletter"),
    "ads": ("google", "cpc", "brand"),
    "referral": ("friends", "referral", None),
    "social": ("instagram", "social", "stories"),
}
_METADATA = (
    None,
    '{"url": "/"}',
    '{"url": "/collections/grounding"}',
    '{"url": "/products/singing-bowl", "title": "Singing bowl, \\"large\\""}',
    '{"device": "mobile", "seconds": 42}',
)
_KIOSK_SHARE = 0.01
_LATE_SHARE = 0.004
_NO_ID_SHARE = 0.003
_REPEATED_SHARE = 0.0015


def write_touchpoints(people: People, orders: PlacedOrders, landing: Landing) -> None:
    """Write all touchpoints of these people."""
    random = people.stream("touchpoints")
    draft = _draw(people, orders, random)
    table = _table(people, orders, draft, random)
    _write(people.tenant.tenant_id, table, draft.at, landing, random)


class _Draft:
    """Who did what and when; `order` is the row of the order a purchase belongs to, else -1."""

    def __init__(self, person: Ints, at: Ints, kind: Ints, order: Ints) -> None:
        by_time = np.lexsort((kind, person, at))
        self.person = person[by_time]
        self.at = at[by_time]
        self.kind = kind[by_time]
        self.order = order[by_time]

    def __len__(self) -> int:
        return len(self.person)


def _pick(random: np.random.Generator, shares: dict[str, float], count: int) -> Ints:
    codes = np.array([_CODE[name] for name in shares])
    edges = np.cumsum(list(shares.values()))
    edges[-1] = 1.0
    return codes[np.searchsorted(edges, random.random(count), side="right")]


def _draw(people: People, orders: PlacedOrders, random: np.random.Generator) -> _Draft:
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []

    def append(person: Ints, at: Ints, kind: Ints | str, order: Ints | None = None) -> None:
        if isinstance(kind, str):
            kind = np.full(len(person), _CODE[kind])
        if order is None:
            order = np.full(len(person), -1)
        at = np.clip(at, PERIODS["all"][0][0], AS_OF - 1)
        parts.append((person, at, kind, order))

    everybody = np.arange(len(people))
    means = np.array([archetype.touchpoints for archetype in ARCHETYPES])[people.archetype]
    person = np.repeat(everybody, random.poisson(means))
    span = (people.last_seen - people.first_seen)[person]
    at = people.first_seen[person] + (random.random(len(person)) * span).astype(np.int64)
    is_known = at >= people.known_at[person]
    kind = np.where(
        is_known,
        _pick(random, _WHEN_KNOWN, len(person)),
        _pick(random, _BEFORE_KNOWN, len(person)),
    )
    append(person, at, kind)

    # The first and the last thing that anybody does is to look at a page.
    append(everybody, people.first_seen, "page_view")
    stays = everybody[people.last_seen > people.known_at]
    append(stays, people.last_seen[stays], "page_view")

    leads = everybody[people.lead_at < AS_OF]
    quiz = leads[random.random(len(leads)) < 0.6]
    append(quiz, people.lead_at[quiz] - 20, "quiz_complete")
    append(leads, people.lead_at[leads], "lead_capture")

    row = np.arange(len(orders.person))
    tracked = row[orders.is_counted & (random.random(len(row)) < 0.6)]
    append(orders.person[tracked], orders.at[tracked] - 600, "checkout_start")
    append(orders.person[tracked], orders.at[tracked] + 5, "purchase", tracked)
    reviewed = row[orders.is_counted & (random.random(len(row)) < 0.08)]
    reviewed = reviewed[orders.at[reviewed] + 12 * DAY < people.last_seen[orders.person[reviewed]]]
    append(orders.person[reviewed], orders.at[reviewed] + 12 * DAY, "review")

    left = everybody[(people.known_at < AS_OF) & (random.random(len(people)) < 0.03)]
    append(left, people.last_seen[left], "email_unsubscribe")
    # Bought at a stall: no order ever arrives for these.
    offline = everybody[(people.known_at < AS_OF) & (people.number % 100 == 17)]
    append(offline, people.known_at[offline] + 60, "purchase")
    person, at, kind, order = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Draft(person, at, kind, order)


def _take(values: list[Any], index: Ints, is_null: Bools) -> pa.Array:
    """`values[index]` as text, null where `is_null`."""
    return pc.take(pa.array(values, pa.string()), pa.array(index, mask=is_null))


def _table(
    people: People, orders: PlacedOrders, draft: _Draft, random: np.random.Generator
) -> pa.Table:
    count = len(draft)
    kind, person = draft.kind, draft.person

    def is_a(*names: str) -> Bools:
        return np.isin(kind, [_CODE[name] for name in names])

    is_known = draft.at >= people.known_at[person] - 20
    by_email = is_a("email_open", "email_click", "email_unsubscribe")
    named = by_email | is_a("purchase", "review", "support_ticket", "lead_capture", "quiz_complete")
    chance = random.random(count)
    has_email = is_known & (named | (chance < 0.25))
    has_anonymous = ~by_email & (~has_email | is_a("lead_capture", "quiz_complete"))
    has_anonymous |= is_known & ~by_email & (chance < 0.10)
    in_shopify = people.tenant is AURORA
    ever_bought = np.zeros(len(people), dtype=bool)
    ever_bought[orders.person] = in_shopify
    has_shopify = is_a("purchase") & (draft.order >= 0) & in_shopify & (chance < 0.8)
    has_klaviyo = by_email & people.has_profile[person] & (chance > 0.4) & is_known
    has_phone = is_a("lead_capture") & people.has_phone[person] & (chance < 0.3)

    second = np.array([email is not None for email in people.second_email])[person]
    uses_second = has_email & second & (chance > 0.9) & ever_bought[person]
    two_devices = (people.number % 4 == 0)[person] & (draft.at > people.first_seen[person] + DAY)
    device = (two_devices & (chance * 100 % 1 < 0.4)).astype(np.int64)
    kiosk = has_email & has_anonymous & (chance < _KIOSK_SHARE)
    truth = people.truth
    for kind_of_id, mask in (
        (EMAIL, has_email & ~uses_second),
        (EMAIL_2, uses_second),
        (PHONE, has_phone),
        (SHOPIFY, has_shopify),
        (KLAVIYO, has_klaviyo),
        (ANONYMOUS, has_anonymous & ~kiosk & (device == 0)),
        (ANONYMOUS_2, has_anonymous & ~kiosk & (device == 1)),
    ):
        truth[person[mask], kind_of_id] = True

    style = random.integers(0, 64, count)
    emails = people.email + [email or "" for email in people.second_email]
    noisy = [written_email(email, index % 4) for index, email in enumerate(emails)]
    email_index = person + np.where(uses_second, len(people), 0)
    email_index += np.where(style < 4, len(emails), 0)
    everyone = range(len(people))
    anonymous = [people.anonymous_id(who, which) for which in (0, 1) for who in everyone]
    anonymous.append("anon-kiosk-at-the-fair")
    anonymous_index = np.where(kiosk, len(anonymous) - 1, person + device * len(people))

    channel = random.integers(0, len(_CHANNELS), count)
    for name, fixed in _FIXED_CHANNEL.items():
        channel[kind == _CODE[name]] = fixed
    no_channel = (chance > 0.98) & ~np.isin(kind, [_CODE[name] for name in _FIXED_CHANNEL])
    utm_rows = [_UTM.get(name, (None, None, None)) for name in _CHANNELS]
    has_utm = ~no_channel & (by_email | is_a("ad_click", "pin_click") | (chance < 0.3))

    amount, reference, reference_type = _references(people, orders, draft, random)
    about = np.where(
        random.random(count) < 0.7, people.collection[person], random.integers(0, 3, count)
    )
    of_order = draft.order >= 0
    about[of_order] = orders.collection[draft.order[of_order]]
    about_nothing = by_email | is_a("support_ticket", "lead_capture") | (chance > 0.6) & ~of_order
    about_nothing |= (people.archetype == VISITOR)[person] & (people.number % 2 == 0)[person]

    no_id = random.random(count) < _NO_ID_SHARE
    identity = pa.array(people.number[person]).cast(pa.string())
    serial = pa.array(np.arange(count)).cast(pa.string())
    joined: Callable[..., Any] = pc.binary_join_element_wise
    columns = {
        "id": pc.if_else(
            pa.array(no_id), pa.scalar(None, pa.string()), joined("tp", identity, serial, "-")
        ),
        "email": _take(emails + noisy, email_index, ~has_email),
        "phone": _take(
            [written_phone(people.tenant, phone, who) for who, phone in enumerate(people.phone)],
            person,
            ~has_phone,
        ),
        "anonymous_id": _take(anonymous, anonymous_index, ~has_anonymous),
        "shopify_customer_id": _take(
            [str(people.shopify_id(who)) for who in everyone], person, ~has_shopify
        ),
        "klaviyo_profile_id": _take(
            [people.klaviyo_id(who) for who in everyone], person, ~has_klaviyo
        ),
        "type": _take(list(TYPES), kind, np.zeros(count, dtype=bool)),
        "channel": _take(list(_CHANNELS), channel, no_channel),
        "reference_id": reference,
        "reference_type": reference_type,
        "metadata": _take(list(_METADATA), style % len(_METADATA), style < 40),
        "value": cents_to_amounts(amount, amount < 0),
        "collection": _take(list(COLLECTIONS), about, about_nothing),
        **{
            f"utm_{part}": _take([row[place] for row in utm_rows], channel, ~has_utm)
            for place, part in enumerate(("source", "medium", "campaign"))
        },
        "occurred_at": pa.array(draft.at).cast(INSTANT),
    }
    return pa.table({name: columns[name] for name in SOURCES["touchpoints"].columns}, SCHEMA)


def _references(
    people: People, orders: PlacedOrders, draft: _Draft, random: np.random.Generator
) -> tuple[Ints, pa.Array, pa.Array]:
    """Amount in cents (negative when there is none), reference and its type for every row."""
    count = len(draft)
    kind = draft.kind
    kinds = ("campaign", "pin", "product", "order")
    which = np.full(count, -1)
    index = random.integers(0, 40, count)
    names = [
        *(f"campaign-{number:02d}" for number in range(40)),
        *(f"pin-{number:03d}" for number in range(40)),
        *(f"product-{number:02d}" for number in range(40)),
        *orders.reference,
    ]
    for place, types in enumerate(
        (
            ("email_open", "email_click", "email_unsubscribe"),
            ("pin_save", "pin_click"),
            ("cart_add", "review"),
        )
    ):
        chosen = np.isin(kind, [_CODE[name] for name in types])
        which[chosen] = place
        index[chosen] += 40 * place
    amount = np.full(count, -1, dtype=np.int64)
    in_cart = kind == _CODE["cart_add"]
    amount[in_cart] = 1_400 + index[in_cart] * 50
    of_order = draft.order >= 0
    which[of_order] = 3
    index[of_order] = 120 + draft.order[of_order]
    amount[of_order] = orders.cents[draft.order[of_order]]
    offline = (kind == _CODE["purchase"]) & ~of_order
    which[offline] = 3
    amount[offline] = 2_500 + index[offline] * 100
    index[offline] = len(names) + np.arange(offline.sum())
    names += [f"stall-{people.number[person]}" for person in draft.person[offline].tolist()]
    nothing = which < 0
    return amount, _take(names, index, nothing), _take(list(kinds), which, nothing)


def _write(
    tenant: str, table: pa.Table, at: Ints, landing: Landing, random: np.random.Generator
) -> None:
    """Write the rows to the files of their months; some late, some twice."""
    chance = random.random(len(at))
    is_late = (chance < _LATE_SHARE) & (at < AS_OF - 60 * DAY)
    copies = 1 + (chance > 1 - _REPEATED_SHARE).astype(np.int64)
    has_id = ~np.asarray(pc.is_null(table["id"]).to_numpy(), dtype=bool)
    copies[~has_id & (chance > 0.5)] = 2
    rows: NDArray[np.int64] = np.repeat(np.arange(len(at)), np.where(is_late, 0, copies))
    starts, names = PERIODS[SOURCES["touchpoints"].period]
    edges = np.searchsorted(at[rows], [*starts[1:], AS_OF])
    begin = 0
    for name, end in zip(names, edges.tolist(), strict=True):
        landing.add_table(tenant, "touchpoints", name, table.take(pa.array(rows[begin:end])))
        begin = end
    landing.add_table(tenant, "touchpoints", LATE, table.take(pa.array(np.flatnonzero(is_late))))
