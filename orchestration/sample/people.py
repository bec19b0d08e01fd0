"""Who the people are: names, addresses, phones and the shape of their history.

Everything about a person follows from the tenant, the seed and the person's number, so that any
slice of people can be made without the others and memory does not grow with the sample.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from orchestration.sample.world import (
    AS_OF,
    AURORA,
    DAY,
    LAST,
    START,
    Tenant,
    stream,
)

CHUNK = 10_000
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Archetype:
    """A kind of person. Days count back from the end of the sample."""

    name: str
    shares: tuple[float, float, float]
    orders: tuple[int, int]
    last_order_days: tuple[int, int]
    last_seen_days: tuple[int, int]
    touchpoints: int
    lead_share: float


ARCHETYPES = (
    Archetype("visitor", (0.14, 0.04, 0.06), (0, 0), (0, 0), (0, 540), 7, 0.0),
    Archetype("lead", (0.07, 0.0, 0.0), (0, 0), (0, 0), (0, 28), 3, 1.0),
    Archetype("prospect", (0.09, 0.0, 0.0), (0, 0), (0, 0), (0, 28), 15, 1.0),
    Archetype("lapsed lead", (0.06, 0.0, 0.0), (0, 0), (0, 0), (31, 170), 10, 1.0),
    Archetype("one-time", (0.15, 0.26, 0.26), (1, 1), (0, 88), (0, 88), 14, 0.5),
    Archetype("one-time at risk", (0.10, 0.16, 0.14), (1, 1), (92, 300), (10, 90), 16, 0.5),
    Archetype("repeat", (0.20, 0.26, 0.28), (2, 4), (0, 115), (0, 115), 24, 0.5),
    Archetype("vip", (0.08, 0.10, 0.10), (4, 14), (0, 200), (0, 100), 45, 0.6),
    Archetype("repeat at risk", (0.06, 0.10, 0.08), (2, 4), (125, 300), (20, 90), 25, 0.5),
    Archetype("churned", (0.05, 0.08, 0.08), (1, 3), (200, 480), (190, 480), 16, 0.4),
)
ARCHETYPE = {archetype.name: code for code, archetype in enumerate(ARCHETYPES)}
VIP = ARCHETYPE["vip"]
VISITOR = ARCHETYPE["visitor"]

TRUTH_TYPES = (
    "email",
    "email",
    "phone",
    "shopify_customer_id",
    "klaviyo_profile_id",
    "anonymous_id",
    "anonymous_id",
)
EMAIL, EMAIL_2, PHONE, SHOPIFY, KLAVIYO, ANONYMOUS, ANONYMOUS_2 = range(len(TRUTH_TYPES))

SHARED_PHONES = 3
_ASCII = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ë": "e", "'": ""})
_DOMAINS = ("example.com", "example.net", "example.org", "mail.example", "post.example")


def subscriber(tenant: Tenant, number: int) -> str:
    """National significant number of that tenant's phone number `number`; all differ."""
    prefix = tenant.phone_prefixes[number % len(tenant.phone_prefixes)]
    size = 10**tenant.subscriber_digits
    rest = (number // len(tenant.phone_prefixes) * 7_654_321 + 2_345_678) % size
    return f"{prefix}{rest:0{tenant.subscriber_digits}d}"


def e164(tenant: Tenant, national: str) -> str:
    """The phone in E.164."""
    return f"+{tenant.country_code}{national}"


def written_phone(tenant: Tenant, national: str, style: int) -> str:
    """The phone as people write it: local, spaced, or international."""
    head, tail = national[:3], national[3:]
    match style % 5:
        case 0:
            return f"0{national}"
        case 1:
            return f"+{tenant.country_code}{national}"
        case 2:
            return f"0{head} {tail[:3]} {tail[3:]}"
        case 3:
            return f"+{tenant.country_code} {head} {tail}"
        case _:
            return f"+{tenant.country_code} (0){head} {tail}"


def written_email(email: str, style: int) -> str:
    """The address as people type it: now and then in capitals, with spaces, or decomposed."""
    match style % 32:
        case 0:
            return email.upper()
        case 1:
            return f" {email}"
        case 2:
            return f"{email.capitalize()} "
        case 3:
            return unicodedata.normalize("NFD", email)
        case _:
            return email


@dataclass
class People:
    """A slice of one tenant's people. Arrays are aligned; times are seconds since the epoch."""

    tenant: Tenant
    seed: int
    number: Ints
    archetype: Ints
    first_name: list[str]
    last_name: list[str]
    email: list[str]
    second_email: list[str | None]
    phone: list[str]
    has_phone: Bools
    has_profile: Bools
    collection: Ints
    first_seen: Ints
    last_seen: Ints
    lead_at: Ints
    known_at: Ints
    order_person: Ints
    order_number: Ints
    order_at: Ints
    truth: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.truth = np.zeros((len(self.number), len(TRUTH_TYPES)), dtype=bool)

    def __len__(self) -> int:
        return len(self.number)

    def stream(self, topic: str) -> np.random.Generator:
        """The random stream of one topic for this slice."""
        return stream(self.seed, self.tenant.tenant_id, topic, int(self.number[0]))

    def person_id(self, person: int) -> str:
        """The true person's id, unknown to the warehouse."""
        return f"{self.tenant.tenant_id}-{self.number[person]}"

    def shopify_id(self, person: int) -> int:
        """The person's Shopify customer id."""
        return 6_000_000_000_000 + int(self.number[person])

    def klaviyo_id(self, person: int) -> str:
        """The person's Klaviyo profile id."""
        return f"01KL{int(self.number[person]):010d}"

    def anonymous_id(self, person: int, device: int = 0) -> str:
        """The id of one of the person's browsers."""
        return f"anon-{device + 1}-{int(self.number[person]):09d}"

    def truth_rows(self) -> Iterator[tuple[str, str, str, str]]:
        """(tenant, person, identifier type, identifier) of everything the files say of a person."""
        for person, kind in np.argwhere(self.truth).tolist():
            yield (
                self.tenant.tenant_id,
                self.person_id(person),
                TRUTH_TYPES[kind],
                self._identifier(person, kind),
            )

    def _identifier(self, person: int, kind: int) -> str:
        match kind:
            case 0:
                return self.email[person]
            case 1:
                return self.second_email[person] or ""
            case 2:
                return e164(self.tenant, self.phone[person])
            case 3:
                return str(self.shopify_id(person))
            case 4:
                return self.klaviyo_id(person)
            case _:
                return self.anonymous_id(person, kind - ANONYMOUS)


@dataclass(frozen=True)
class PlacedOrders:
    """What other sources need to know of the orders: aligned, cents in the tenant's currency."""

    person: Ints
    at: Ints
    reference: list[str]
    cents: Ints
    collection: Ints
    is_counted: Bools


def make_people(tenant: Tenant, seed: int, first: int, size: int) -> People:
    """The people numbered `first` … `first + size - 1` of a tenant."""
    random = stream(seed, tenant.tenant_id, "people", first)
    number = np.arange(first, first + size, dtype=np.int64)
    column = {"aurora": 0, "bluegum": 1, "kente": 2}[tenant.tenant_id]
    shares = np.array([archetype.shares[column] for archetype in ARCHETYPES])
    archetype = random.choice(len(ARCHETYPES), size=size, p=shares / shares.sum())

    names = random.integers(0, len(tenant.first_names), size).tolist()
    surnames = random.integers(0, len(tenant.last_names), size).tolist()
    first_name = [tenant.first_names[name] for name in names]
    last_name = [tenant.last_names[name] for name in surnames]
    domains = random.integers(0, len(_DOMAINS), size).tolist()
    has_second_email = (random.random(size) < 0.15).tolist()
    email, second_email = [], []
    for given, family, digits, domain, has_second in zip(
        first_name, last_name, number.tolist(), domains, has_second_email, strict=True
    ):
        local = f"{given}.{family}".lower()
        if digits % 97:
            local = local.translate(_ASCII)
        email.append(f"{local}.{digits}@{_DOMAINS[domain]}")
        second_email.append(
            f"{given[0]}{family}{digits}@work.example".lower().translate(_ASCII)
            if has_second
            else None
        )

    # Every fortieth person lives with the one before and shares that person's phone.
    household = number - (number % 40 == 21)
    phone = [subscriber(tenant, home) for home in (household + SHARED_PHONES).tolist()]

    history = _histories(random, archetype)
    lead_share = np.array([kind.lead_share for kind in ARCHETYPES])[archetype]
    if tenant is not AURORA:
        lead_share = np.zeros(size)
    no_time = np.iinfo(np.int64).max
    order_counts = history.order_counts
    first_order = np.full(size, no_time)
    starts = np.concatenate([[0], np.cumsum(order_counts)[:-1]])
    buyers = order_counts > 0
    first_order[buyers] = history.order_at[starts[buyers]]
    lead_latest = np.minimum(first_order, history.last_seen)
    lead_at = history.first_seen + (
        random.random(size) * 0.6 * (lead_latest - history.first_seen)
    ).astype(np.int64)
    lead_at = np.where(archetype == ARCHETYPE["lead"], history.last_seen, lead_at)
    lead_at = np.where(random.random(size) < lead_share, lead_at, no_time)

    return People(
        tenant=tenant,
        seed=seed,
        number=number,
        archetype=archetype,
        first_name=first_name,
        last_name=last_name,
        email=email,
        second_email=second_email,
        phone=phone,
        has_phone=(random.random(size) < 0.6) | (number % 40 >= 20) & (number % 40 <= 21),
        has_profile=(random.random(size) < 0.8) & (archetype != VISITOR),
        collection=random.integers(0, 3, size),
        first_seen=history.first_seen,
        last_seen=history.last_seen,
        lead_at=lead_at,
        known_at=np.minimum(lead_at, first_order),
        order_person=np.repeat(np.arange(size), order_counts),
        order_number=np.arange(order_counts.sum()) - np.repeat(starts, order_counts),
        order_at=history.order_at,
    )


@dataclass
class _Histories:
    first_seen: Ints
    last_seen: Ints
    order_counts: Ints
    order_at: Ints


def _histories(random: np.random.Generator, archetype: Ints) -> _Histories:
    """First and last moment and order times of people of these kinds."""
    size = len(archetype)

    def days_back(windows: list[tuple[int, int]]) -> Ints:
        low, high = np.array(windows)[archetype].T
        back = (low + random.random(size) * (high - low)) * DAY
        moments: Ints = np.clip(AS_OF - back.astype(np.int64), START + DAY, LAST)
        return moments

    low, high = np.array([kind.orders for kind in ARCHETYPES])[archetype].T
    order_counts = low + (random.random(size) * (high - low + 1)).astype(np.int64)
    last_order = days_back([kind.last_order_days for kind in ARCHETYPES])
    last_seen = days_back([kind.last_seen_days for kind in ARCHETYPES])
    last_seen = np.where(order_counts > 0, np.maximum(last_order, last_seen), last_seen)
    last_order = np.where(order_counts > 0, last_order, last_seen)

    # People with one order are seen up to two months before it, others from anywhere before.
    room = last_order - START
    span = np.where(order_counts > 1, room * random.random(size), 60 * DAY * random.random(size))
    first_seen = last_order - np.minimum(room, span.astype(np.int64))

    person = np.repeat(np.arange(size), order_counts)
    spread = random.random(len(person))
    is_last = np.append(person[1:] != person[:-1], True) if len(person) else np.array([], bool)
    spread[is_last] = 1.0
    room = (last_order - first_seen)[person]
    order_at = first_seen[person] + (spread * room).astype(np.int64)
    order_at = order_at[np.lexsort((order_at, person))]
    return _Histories(first_seen, last_seen, order_counts, order_at)
