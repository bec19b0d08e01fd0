"""Small worlds drawn at random: a few people, seen by several sources, with every accident.

A world is drawn from a seed, so the seed reproduces it. Every world is a tenant of its own, so that
one build checks many of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from .gifts import code_of, end_of_day_after
from .records import VERSION_COLUMNS, Values
from .seeds import ManualRule, Tenant
from .winback import CODE, FLOW, Campaign, draw_campaigns

DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)
PLACES = (
    ("Europe/Berlin", "EUR", "DE", "EUR EUR GBP", "0171 23{:02} {:03}", "+49 17123{:02}{:03}"),
    ("Australia/Sydney", "AUD", "AU", "AUD NZD USD", "04 12{:02} 4{:03}", "+61 412{:02}4{:03}"),
    ("America/New_York", "USD", "US", "USD", "(212) 5{:02}-4{:03}", "+1 212 5{:02} 4{:03}"),
)
"""Time zone, currency, phone region, currencies of orders, and two spellings of a phone."""
SETTINGS: tuple[dict[str, Decimal | None], ...] = (
    {},
    {},
    {"vip_lapse_days": Decimal(60)},
    {"churned_days": Decimal(45), "customer_at_risk_days": Decimal(60)},
    {"vip_lifetime_value_amount": Decimal(120), "lead_at_risk_days": Decimal(7)},
)
THRESHOLDS = (7, 8, 14, 15, 30, 31, 45, 46, 60, 61, 90, 91, 120, 121, 180, 181)
AMOUNTS = (
    "0",
    "0",
    "0.01",
    "12.345",
    "19.90",
    "50",
    "49.99",
    "99.95",
    "120",
    "200",
    "250",
    "333.33",
    "500",
    "1000",
)
COLLECTIONS = ("grounding", "wholeness", "growth", "discontinued", " growth ", None, None)
JUNK_EMAILS = ("test@example.com", "noreply@shop.example", "n/a", "", "@", "unknown@x.example")
JUNK_PHONES = ("000000000", "n/a", "123", "")
SPECIAL_INSTANTS = (
    "2025-10-26T00:59:59Z",
    "2025-10-26T01:00:00Z",
    "2026-03-29T01:00:00Z",
    "2026-03-08T07:00:00Z",
    "2026-04-04T16:00:00Z",
    "2026-01-31T23:00:00Z",
    "2026-02-28T12:59:59Z",
    "2025-12-31T22:59:59Z",
)
TOUCHPOINTS = (
    *("page_view", "page_view", "email_click", "email_click", "email_open", "email_unsubscribe"),
    *("pin_save", "pin_click", "ad_click", "quiz_complete", "lead_capture", "cart_add", "review"),
)
NETWORKS = ("MTN", "MTN", "Telecel", None)
RATINGS = (None, Decimal(0), Decimal(100), Decimal("72.5"), Decimal(33))
CLIENT_STAGES = (
    *("lead", "qualified_lead", "onboarding", "active_project", "active_project"),
    *("awaiting_feedback", "billing", "billing", "retention", "upsell_candidate", "churn_risk"),
)
CLIENT_EVENTS = (
    *("meeting", "call", "message", "milestone_reached", "progress_update", "delivery"),
    *("invoice_overdue", "invoice_overdue", "invoice_paid", "feature_used", "feature_used"),
    *("support_ticket", "support_ticket", "note"),
)
CODES = ("TEN", "ten", " Ten", "calm", "FEW", "few ", "NOSUCH")
PRODUCTS = ("mug", 77, None)
GIVEN_BACK = ("refunded", "partially_refunded")
METADATA: tuple[Any, ...] = (
    *(None, {}, [1, 2], 7, {"sentiment": None}, {"sentimant": "negative"}),
    *({"sentiment": "negative"}, {"sentiment": " Negative "}, {"sentiment": "negativ"}),
    *({"invoice_id": "i-1"}, {"invoice_id": " i-1"}, {"invoice_id": 2}, {"invoice_id": "2"}),
    *({"invoice_id": ""}, {"invoice_id": "i-1", "sentiment": "negative"}),
)


@dataclass(frozen=True)
class File:
    """Rows of one source that arrive together."""

    source: str
    name: str
    rows: tuple[Values, ...]

    def text(self, zone: str) -> str:
        """JSON Lines; every second row tells its times in the tenant's zone."""
        return "".join(
            json.dumps(row, default=_writer(zone if number % 2 else "UTC"), ensure_ascii=False)
            + "\n"
            for number, row in enumerate(self.rows)
        )


@dataclass(frozen=True, eq=False)
class World:
    """One tenant and the files that arrive for it, step by step."""

    seed: int
    tenant: Tenant
    steps: tuple[tuple[File, ...], ...]
    rules: tuple[ManualRule, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    def loaded(self) -> list[tuple[str, tuple[Values, ...]]]:
        """(source, rows) of every file in the order of the loads: by step, then by path."""
        return [(file.source, file.rows) for step in self.steps for file in in_path_order(step)]

    def write(self, landing: Path, step: int) -> None:
        """Put the files of one step where the loader finds them."""
        for file in self.steps[step]:
            folder = landing / self.tenant.tenant_id / file.source
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file.name).write_text(file.text(self.tenant.time_zone))

    def describe(self) -> str:
        """Everything needed to see what happened, and to draw the world again."""
        lines = [f"world {self.seed}: {self.tenant}", *(str(rule) for rule in self.rules)]
        lines += [str(campaign) for campaign in self.campaigns]
        for number, step in enumerate(self.steps, start=1):
            for file in in_path_order(step):
                lines.append(f"  step {number}, {file.source}/{file.name}")
                lines += [f"    {line}" for line in file.text("UTC").splitlines()]
        return "\n".join(lines)

    def rows(self) -> list[tuple[int, int, int]]:
        """The place of every row: step, file and row."""
        return [
            (s, f, r)
            for s, step in enumerate(self.steps)
            for f, file in enumerate(step)
            for r in range(len(file.rows))
        ]

    def without(self, places: set[tuple[int, int, int]]) -> World:
        """The same world without some of its rows, and without files that are empty then."""
        steps = []
        for s, step in enumerate(self.steps):
            files = []
            for f, file in enumerate(step):
                rows = [row for r, row in enumerate(file.rows) if (s, f, r) not in places]
                files.append(replace(file, rows=tuple(rows)))
            steps.append(tuple(file for file in files if file.rows))
        return replace(self, steps=tuple(steps))

    def reordered(self, random: Random) -> World:
        """The same files in another order of their steps, for a tenant of another name."""
        steps = list(self.steps)
        while len(steps) > 1 and steps == list(self.steps):
            random.shuffle(steps)
        tenant = replace(self.tenant, tenant_id=f"{self.tenant.tenant_id}-reordered")
        return replace(self, tenant=tenant, steps=tuple(steps))


def instant_of(value: datetime | str) -> datetime:
    """What a row or something nested in it says about when."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def in_path_order(step: Iterable[File]) -> list[File]:
    return sorted(step, key=lambda file: (file.source, file.name))


def _writer(zone: str) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        if isinstance(value, datetime):
            return value.astimezone(ZoneInfo(zone)).isoformat()
        assert isinstance(value, Decimal)
        return str(value)

    return write


def draw_world(
    seed: int,
    as_of: datetime,
    *,
    steps: int = 2,
    is_order_free: bool = False,
    has_rules: bool = False,
) -> World:
    """A world of two to four people.

    Args:
        seed: decides everything.
        as_of: the instant that thresholds are aimed at.
        steps: how many loads its files are spread over.
        is_order_free: leave out what makes the order of the loads matter on purpose: corrections
            of records that carry no version of their own.
        has_rules: add rules of the kind that people write by hand.
    """
    random = Random(seed)
    zone, currency, region, currencies, national, international = random.choice(PLACES)
    tenant = Tenant(f"w{seed:06d}", zone, currency, region, random.choice(SETTINGS))
    drawn = _Drawing(
        random, as_of, zone, currencies.split(), (national, international), is_order_free
    )
    drawn.draw()
    drawn.rows += _returning_people(seed, as_of, currency)
    return World(
        seed,
        tenant,
        tuple(_delivered(random, drawn.rows, steps, is_order_free)),
        tuple(drawn.rules(tenant)) if has_rules else (),
        draw_campaigns(seed, as_of),
    )


def edge_world(as_of: datetime) -> World:
    """People to whom something small happens just before, at and after each threshold."""
    zone, currency, region, *_ = PLACES[0]
    rows: dict[str, list[Values]] = {"leads": [], "touchpoints": [], "shopify_orders": []}
    rows |= _edges_of_shops(as_of, currency)
    number = 0
    for days in (30, 60, 90, 120, 180):
        for late in (days * DAY - SECOND, days * DAY, (days + 1) * DAY - SECOND, (days + 1) * DAY):
            at = as_of - late - 33 * DAY
            number += 1
            email = f"lead{number}@mail.example"
            rows["leads"].append({"id": f"l-{number}", "email": email, "captured_at": at})
            rows["touchpoints"].append(
                {
                    "id": f"t-{number}",
                    "email": email,
                    "type": "email_open",
                    "occurred_at": at + late,
                }
            )
            for prices in (("100",), ("100", "100"), ("300", "250"), ("1",)):
                number += 1
                for part, price in enumerate(prices):
                    order = _plain_order(
                        f"so-{number}-{part}", f"buyer{number}", at, currency, price
                    )
                    if price != "1":
                        order |= _given_back(order, "60.00", at + late)
                    else:
                        order["created_at"] = as_of - late
                    rows["shopify_orders"].append(order)
    for source, found in _edges_of_numbers(as_of, currency):
        rows[source].append(found)
    rows |= _edges_of_clients(as_of)
    files = tuple(File(source, "edges.jsonl", tuple(found)) for source, found in rows.items())
    return World(0, Tenant("edges", zone, currency, region), (files,))


def _edges_of_shops(as_of: datetime, currency: str) -> dict[str, list[Values]]:
    """First purchases about the ends of months and of being new; visits that end in one order."""
    month_begins = datetime.fromisoformat("2026-06-30T22:00:00Z")
    instants = [as_of - 30 * DAY, *(month_begins - n * DAY for n in (0, 30, 365))]
    orders: list[Values] = []
    for number, at in enumerate(one - late for one in instants for late in (SECOND, 0 * SECOND)):
        orders.append(
            {
                "id": f"sl-{number}",
                "shop_id": "edges",
                "slug": "spring",
                "phone_number": f"0171 23{number:02} 111",
                "total_price": Decimal(10),
                "currency": currency,
                "status": "paid",
                "created_at": at,
                "updated_at": at,
            }
        )
    first = orders[0]["created_at"]
    visits = [
        {"id": name, "shop_id": shop, "slug": "spring", "order_id": order, "accessed_at": at}
        for name, shop, order, at in (
            ("v-without-session", "edges", None, first),
            ("v-order-told-later", "edges", None, first - SECOND),
            ("v-order-told-later", "edges", "sl-0", first - SECOND),
            ("v-reloaded", "edges", "sl-0", first),
            ("v-elsewhere", "only-visited", "sl-0", first - DAY),
        )
    ]
    return {"shop_orders": orders, "shop_visits": visits}


def _edges_of_numbers(as_of: datetime, currency: str) -> Iterator[tuple[str, Values]]:
    """Orders of two sources with one number, which a buyer of either names, or somebody else."""
    at = as_of - 10 * DAY
    for number, names in enumerate((("first",), ("second",), ("first", "second"), ("other",))):
        order = _plain_order(f"twice-{number}", f"first{number}", at, currency)
        yield "shopify_orders", order
        sold = {"shop_id": "edges", "total_price": Decimal(10), "status": "paid"}
        shown = {name: order[name] for name in ("id", "currency", "created_at", "updated_at")}
        yield "shop_orders", {**shown, **sold, "email": f"second{number}@mail.example"}
        for name in names:
            yield (
                "touchpoints",
                {
                    "id": f"t-{name}-{number}",
                    "email": f"{name}{number}@mail.example",
                    "type": "purchase",
                    "reference_type": "order",
                    "reference_id": order["id"],
                    "collection": "growth" if name == "first" else "grounding",
                    "occurred_at": at,
                },
            )


def _edges_of_clients(as_of: datetime) -> dict[str, list[Values]]:
    """Clients with every kind of rating, one of whom buys, and events about the ends of windows;
    and a contact that is known by its changes only."""
    contacts: list[Values] = []
    events: list[Values] = []
    for rating in (None, Decimal(0), Decimal(100)):
        for late in (14 * DAY, 15 * DAY, 30 * DAY):
            for offset in (-SECOND, 0 * SECOND, SECOND):
                client = f"client-{len(contacts)}"
                contacts.append(
                    {
                        "id": client,
                        "email": f"buyer{2 + len(contacts)}@mail.example",
                        "ai_score": rating,
                        "updated_at": as_of - 60 * DAY,
                    }
                )
                kinds = ("support_ticket",) * 3 if rating else ("feature_used", "delivery", "note")
                for number, kind in enumerate(kinds):
                    events.append(
                        {
                            "id": f"{client}-{number}",
                            "client_id": client,
                            "stage": ("billing", "onboarding", "active_project")[number],
                            "event_type": kind,
                            "metadata": {"sentiment": "negative"} if number else ["negative"],
                            "occurred_at": as_of - late + offset,
                        }
                    )
    contacts += [
        {"id": "client-changed", "email": "changed@mail.example", "updated_at": as_of - days * DAY}
        for days in (50, 70, 40)
    ]
    return {"contacts": contacts, "client_journey_events": events}


def _plain_order(
    order_id: str, buyer: str, at: datetime, currency: str, price: str = "100"
) -> Values:
    return {
        "id": order_id,
        "email": f"{buyer}@mail.example",
        "created_at": at,
        "updated_at": at,
        "currency": currency,
        "financial_status": "paid",
        "total_price": Decimal(price),
    }


def _given_back(order: Values, amount: str, at: datetime) -> Values:
    moved = {"kind": "refund", "status": "success", "amount": amount}
    return {
        "financial_status": "partially_refunded",
        "refunds": [
            {"id": f"{order['id']}-r", "created_at": at.isoformat(), "transactions": [moved]}
        ],
    }


def _returning_people(seed: int, as_of: datetime, currency: str) -> Iterator[tuple[str, Values]]:
    """People who bought long ago and do something around one instant, as after a message."""
    random = Random(f"returning people of {seed}")
    for number in range(random.choice((2, 3))):
        email = f"back{number}@mail.example"
        long_ago = as_of - random.choice((150, 200, 250, 300)) * DAY
        yield "shopify_orders", _plain_order(f"b-{number}", f"back{number}", long_ago, currency)
        if random.random() < 0.9:
            yield (
                "consent_changes",
                {
                    "id": f"bc-{number}",
                    "email": email,
                    "channel": "email",
                    "subscribed": True,
                    "changed_at": long_ago,
                },
            )
        message_at = as_of - random.choice((5, 20, 40, 60)) * DAY
        offsets = (0 * DAY, SECOND, DAY, 2 * DAY, 14 * DAY - SECOND, 14 * DAY, 29 * DAY)
        for part in range(random.choice((0, 1, 3, 5))):
            touchpoint = {
                "id": f"bt-{number}-{part}",
                "email": email,
                "type": random.choice(
                    ("email_open", "email_open", "email_click", "email_click", "email_unsubscribe")
                ),
                "occurred_at": min(message_at + random.choice(offsets), as_of),
            }
            yield "touchpoints", touchpoint | _campaign_named(touchpoint)
        for part in range(random.choice((0, 0, 1, 2))):
            at = min(message_at + random.choice(offsets), as_of)
            order = _plain_order(f"b-{number}-{part}", f"back{number}", at, currency)
            order["discount_codes"] = _codes(f"{seed} {order['id']}")
            if random.random() < 0.3:
                order |= _given_back(order, random.choice(("60.00", "100.00")), at + DAY)
            yield "shopify_orders", order


def _codes(order_id: str) -> list[Values]:
    random = Random(f"codes of {order_id}")
    codes = random.choice(((), (), (CODE,), (f" {CODE.lower()}",), ("OTHER", CODE)))
    return [{"code": code, "amount": "1.00"} for code in codes]


def _spaced(row: Values) -> Values:
    """What a purchase touchpoint refers to, in the spacings that occur."""
    random = Random(f"spaces of {row['id']} at {row['occurred_at']}")
    if "reference_id" not in row:
        return random.choice(({}, {"reference_type": "order", "reference_id": " "}))
    spaced = random.choice(("{}", "{}", " {} ", "{} "))
    return {name: spaced.format(row[name]) for name in ("reference_type", "reference_id")}


def _campaign_named(row: Values) -> Values:
    """What an e-mail touchpoint says about the mail that it answers."""
    if not row["type"].startswith("email_"):
        return {}
    random = Random(f"campaign of {row['id']}")
    named = {"utm_campaign": random.choice((None, None, None, "c-a", " C-B ", "newsletter"))}
    if random.random() < 0.3:
        reference = random.choice(("C-A", "c-b", FLOW.lower(), "c-x"))
        kind = random.choice(("campaign", "campaign", "product"))
        named |= {"reference_type": kind, "reference_id": reference}
    return named


def _delivered(
    random: Random, rows: list[tuple[str, Values]], steps: int, is_order_free: bool
) -> Iterator[tuple[File, ...]]:
    """Rows late, shuffled and repeated, in one or two files per source and step."""
    arrivals: list[dict[str, list[Values]]] = [{} for _ in range(steps)]
    for source, row in rows:
        step = random.randrange(steps)
        arrivals[step].setdefault(source, []).append(row)
        # a repeat of a record without a version would bring back what was corrected since
        if random.random() < 0.2 and (source in VERSION_COLUMNS or is_order_free):
            arrivals[random.randrange(steps)].setdefault(source, []).append(row)
    for number, arrived in enumerate(arrivals):
        files = []
        for source, found in sorted(arrived.items()):
            random.shuffle(found)
            cut = random.randrange(len(found)) if random.random() < 0.2 else 0
            for part, some in enumerate((found[:cut], found[cut:])):
                if some:
                    files.append(File(source, f"{number}-{part}.jsonl", tuple(some)))
        yield tuple(files)


@dataclass
class Person:
    """The identifiers that a person uses, in the spellings that occur."""

    emails: list[str]
    phones: list[str]
    account: str | None
    profile: str | None
    contact: str | None
    device: str | None
    name: tuple[str, str]
    seen: list[datetime] = field(default_factory=list)


class _Drawing:
    def __init__(
        self,
        random: Random,
        as_of: datetime,
        zone: str,
        currencies: list[str],
        phone_forms: tuple[str, str],
        is_order_free: bool,
    ) -> None:
        self.random = random
        self.as_of = as_of
        self.zone = zone
        self.currencies = currencies
        self.phone_forms = phone_forms
        self.is_order_free = is_order_free
        self.rows: list[tuple[str, Values]] = []
        self.orders: list[str] = []
        self.extras = Random(f"codes and gifts of {random.getstate()}")
        """Draws codes, coupons and gifts, so that they change nothing else about a world."""
        self.numbers = 0
        self._made: set[tuple[str, str]] = set()
        self.people = [self._person(number) for number in range(random.randint(2, 4))]

    def draw(self) -> None:
        random = self.random
        looking = (*(self._touchpoint,) * 4, self._lead, self._profile, self._consent, self._visit)
        buying = (*(self._shopify_order,) * 4, *(self._shop_order,) * 2, self._purchase)
        working = (self._contact, self._client_events)
        for person in self.people:
            kinds = looking if random.random() < 0.35 else (*looking, *buying, *working)
            for _ in range(random.choice((1, 3, 6, 10))):
                random.choice(kinds)(person)
        if random.random() < 0.3:
            self._crowd()
        self.random = self.extras
        self._coupons()
        for person in self.people:
            self._gifts(person)
            self._adjustments(person)
        self.random = random

    def rules(self, tenant: Tenant) -> Iterator[ManualRule]:
        """Rules about two identifiers that records show, only mention, or neither; each has one."""
        known = sorted(
            {f"email:{person.emails[0].strip().lower()}" for person in self.people}
            | {f"shopify_customer_id:{one.account}" for one in self.people if one.account}
            | {f"contact:{one.contact}" for one in self.people if one.contact}
            | {"anonymous_id:dev-nobody"}
        )
        self.random.shuffle(known)
        for number in range(0, min(len(known) - 1, 4), 2):
            yield ManualRule(self.random.random() < 0.5, known[number], known[number + 1])

    def _person(self, number: int) -> Person:
        random = self.random
        chance = random.random
        name = random.choice(
            (("Ana", "Ribeiro"), ("Jo", "Ødegård"), ("Kofi", "Mensah"), ("", "Li"))
        )
        local = f"p{number}" if chance() < 0.8 else f"zoe\u0301{number}"
        phone = (number + (0 if chance() < 0.8 else 50), random.randrange(2))
        return Person(
            emails=[f"{local}@mail.example", f"{local}.second@mail.example"],
            phones=[form.format(*phone) for form in self.phone_forms],
            account=f"90{number}" if chance() < 0.7 else None,
            profile=f"K{number}" if chance() < 0.5 else None,
            contact=f"c{number}" if chance() < 0.5 else None,
            device=f"dev-{number}" if chance() < 0.6 else None,
            name=name,
        )

    def _id(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}{self.numbers}"

    def _at(self, person: Person) -> datetime:
        """An instant: by chance, special, or a threshold from another event, to the second."""
        random = self.random
        how = random.random()
        if how < 0.15:
            at = datetime.fromisoformat(random.choice(SPECIAL_INSTANTS))
        elif how < 0.35:
            at = self.as_of - random.choice(THRESHOLDS) * DAY
        elif how < 0.65 and person.seen:
            at = random.choice(person.seen) + random.choice((*(0,) * 6, 1, *THRESHOLDS)) * DAY
        else:
            at = self.as_of - timedelta(seconds=random.randrange(400 * 86_400))
        at += random.choice((0, 0, 0, -1, 1)) * SECOND
        if random.random() < 0.95:
            at = min(at, self.as_of)
        at = max(at, datetime(2025, 1, 2, tzinfo=UTC))
        person.seen.append(at)
        return at

    def _spelled(self, text: str) -> str:
        return self.random.choice((text, text, text.upper(), f" {text}\t"))

    def _email(self, person: Person) -> str | None:
        how = self.random.random()
        if how < 0.12:
            return None
        if how < 0.17:
            return self.random.choice(JUNK_EMAILS)
        if how < 0.2:
            return self._spelled(self.random.choice(self.people).emails[0])
        return self._spelled(person.emails[how > 0.85])

    def _phone(self, person: Person) -> str | None:
        how = self.random.random()
        if how < 0.45:
            return None
        if how < 0.52:
            return self.random.choice(JUNK_PHONES)
        if how < 0.62:
            return self.random.choice(self.random.choice(self.people).phones)
        return self.random.choice(person.phones)

    def _amount(self) -> Decimal:
        return Decimal(self.random.choice(AMOUNTS))

    def _versions(self, source: str, row: Values, changes: Callable[[Values], Values]) -> None:
        """The record, and now and then a corrected version of it."""
        self.rows.append((source, row))
        version = VERSION_COLUMNS.get(source)
        if self.random.random() >= 0.2 or (version is None and self.is_order_free):
            return
        later = {**row, **changes(row)}
        if version is not None:
            later[version] = row[version] + self.random.randint(1, 40) * DAY
        self.rows.append((source, later))

    def _shopify_order(self, person: Person) -> None:
        random = self.random
        at = self._at(person)
        order_id = self._id("so-")
        self.orders.append(order_id)
        total = self._amount()
        status = random.choice(("paid", "paid", "paid", "paid", "pending", "authorized", "voided"))
        customer: Values | None = None
        if person.account and random.random() < 0.8:
            first_name, last_name = person.name
            customer = {"id": person.account, "first_name": first_name, "last_name": last_name}
            customer |= {"email": self._email(person), "phone": self._phone(person)}
        transactions = []
        if status == "authorized":
            kind = random.choice(("authorization", "void", "capture", "sale"))
            result = random.choice(("success", "success", "failure"))
            paid_at = at + random.choice((0, 0, 1, 30, 200)) * DAY
            transactions = [
                {"kind": kind, "status": result, "amount": str(total),
                 "processed_at": paid_at.isoformat()}
            ]  # fmt: skip
        row: Values = {
            "id": order_id,
            "email": self._email(person),
            "phone": self._phone(person),
            "created_at": at,
            "updated_at": at,
            "test": random.random() < 0.05,
            "currency": random.choice(self.currencies),
            "financial_status": status,
            "total_price": total,
            "total_discounts": random.choice((Decimal(0), Decimal("5.05"), None)),
            "customer": customer,
            "transactions": transactions,
            "line_items": self._lines(),
            "discount_codes": [*_codes(order_id), *self._codes()],
        }
        if status == "paid" and random.random() < 0.04:
            row["financial_status"] = "refunded"
        if random.random() < 0.12:
            row["cancelled_at"] = at + random.choice((0, 0, 1, 30, 200)) * DAY
        if status == "paid" and total > 0 and random.random() < 0.35:
            row |= self._refunds(order_id, at, total)

        def changes(_: Values) -> Values:
            return random.choice(
                (
                    lambda: self._refunds(order_id, at, total) if total > 0 else {},
                    lambda: {"total_price": self._amount(), "refunds": []},
                    lambda: {"financial_status": "paid"},
                    lambda: {"financial_status": random.choice(GIVEN_BACK), "refunds": []},
                    lambda: {"email": self._email(person)},
                    lambda: {"cancelled_at": at + random.choice((1, 40)) * DAY},
                )
            )()

        self._versions("shopify_orders", row, changes)

    def _lines(self) -> list[Values]:
        random = self.random
        lines = []
        for _ in range(random.randint(0, 2)):
            collection = random.choice(COLLECTIONS)
            properties = [{"name": "collection", "value": collection.strip()}] if collection else []
            lines.append(
                {"price": random.choice(AMOUNTS), "quantity": random.randint(1, 2),
                 "product_id": self.extras.choice(PRODUCTS),
                 "total_discount": random.choice(("0.00", "1.50")), "properties": properties}
            )  # fmt: skip
        return lines

    def _codes(self) -> list[Values]:
        """Codes of an order, now and then one twice, in the spellings that occur."""
        random = self.extras
        return [
            {"code": random.choice(CODES), "amount": random.choice(("5.00", "0.00", None))}
            for _ in range(random.choice((0, 1, 1, 2)))
        ]

    def _coupons(self) -> None:
        """Coupons with limits, whose dates and demands are just about those of some order."""
        random = self.extras
        orders = [row for source, row in self.rows if source == "shopify_orders"]
        instants = [order["created_at"] for order in orders] or [self.as_of]

        def about(chance: float) -> datetime | None:
            at = random.choice(instants) + random.choice((-1, 0, 1)) * SECOND
            return at if random.random() < chance else None

        for number, code in enumerate(("TEN", "Ten ", "CALM", "few")):
            if random.random() < 0.2:
                continue
            restricted = random.random() < 0.2
            row: Values = {
                "id": f"coupon-{number}",
                "code": code,
                "discount_type": (
                    kind := random.choice(("percentage", "fixed_amount", "buy_x_get_y"))
                ),
                "value": Decimal(10),
                "buy_quantity": random.choice((1, 3) if kind == "buy_x_get_y" else (None, 1, 3)),
                "get_quantity": 1,
                "usage_limit": random.choice((None, None, None, 1, 2, 0)),
                "usage_limit_per_customer": random.choice((None, 1, 1, 2)),
                "minimum_purchase_amount": random.choice((None, None, None, Decimal("55.05"))),
                "minimum_quantity": random.choice((None, None, None, 1, 2)),
                "restricted_collections": ["growth ", "grounding"] if restricted else None,
                "restricted_products": random.choice(([], ["77"], ["mug"])) if restricted else None,
                "first_time_only": random.random() < 0.2,
                "starts_at": about(0.2),
                "expires_at": about(0.2),
                "status": random.choice(
                    ("active",) * 12 + ("draft", "paused", "expired", "depleted")
                ),
                "updated_at": about(1),
            }
            self.rows.append(("coupons", row))
            if random.random() < 0.2:
                later = {**row, "status": "paused", "updated_at": row["updated_at"] + 20 * DAY}
                self.rows.append(("coupons", later))

    def _gifts(self, person: Person) -> None:
        """Gifts of a person, and claims about the instants at which something ends."""
        random = self.extras
        ends = [
            instant_of(end)
            for source, row in self.rows
            if source == "shopify_orders"
            for end in (row.get("cancelled_at"), *(r["created_at"] for r in row.get("refunds", ())))
            if end is not None
        ]
        for _ in range(random.choice((0, 1, 1, 2))):
            gift_id = self._id("g-")
            made_at = self._at(person)
            last_at = end_of_day_after(made_at, 90, self.zone)
            due_at = random.choice((None, made_at + random.choice((-1, 1, 30)) * DAY, last_at))
            if due_at is not None:
                due_at -= random.choice((0, 1)) * SECOND
            self.rows.append(("gifts", {
                "id": gift_id,
                "order_id": random.choice((None, None, "elsewhere-1", *self.orders)),
                "sender_email": self._email(person),
                "recipient_email": random.choice(("r@mail.example", " R@mail.example")),
                "scheduled_delivery_at": due_at,
                "created_at": made_at,
            }))  # fmt: skip
            instants = [made_at, due_at or made_at, last_at, *ends]
            for _ in range(random.choice((0, 1, 2, 3))):
                at = random.choice(instants) + random.choice((-1, 0, 0, 1, 86_400)) * SECOND
                code = code_of(gift_id) if random.random() < 0.9 else "GIFT-NONE-NONE"
                self.rows.append(("gift_claims", {
                    "id": self._id("gc-"),
                    "gift_code": random.choice((code, f" {code.lower()}")),
                    "email": self._email(random.choice(self.people)),
                    "claimed_at": min(at, self.as_of) if random.random() < 0.9 else at,
                }))  # fmt: skip

    def _adjustments(self, person: Person) -> None:
        """Points given by hand, and taken, now and then for nobody that is known."""
        random = self.random
        for _ in range(random.choice((0, 0, 1, 3))):
            row: Values = {
                "id": self._id("a-"),
                "email": self._email(person),
                "phone": self._phone(person),
                "type": random.choice(("earn_bonus", "earn_birthday", "adjustment")),
                "points": random.choice((10, 200, 700)),
                "occurred_at": self._at(person),
            }
            if row["type"] == "adjustment":
                row["points"] *= random.choice((1, -1))
            later = row["points"] // 2
            if row["type"] == "earn_birthday" and random.random() < 0.5:
                row["points"] = None
            self._versions("loyalty_adjustments", row, lambda _, later=later: {"points": later})

    def _refunds(self, order_id: str, at: datetime, total: Decimal) -> Values:
        random = self.random
        mills = int(total * 1000)
        step = 1 if mills % 10 else 10
        parts = [mills]
        if random.random() < 0.6 and mills >= 2 * step:
            parts = [random.randrange(step, mills, step)]
        if parts[0] < mills and random.random() < 0.5:
            parts.append(mills - parts[0])
        refunds = []
        for number, part in enumerate(parts):
            back_at = at + random.choice((0, 0, 1, 14, *THRESHOLDS)) * DAY
            amount = str(Decimal(part) / 1000)
            refund: Values = {"id": f"{order_id}-r{number}", "created_at": back_at.isoformat()}
            if random.random() < 0.8:
                refund["transactions"] = [
                    {"kind": "refund", "status": "success", "amount": amount},
                    {"kind": "refund", "status": "failure", "amount": amount},
                ]
            else:
                refund["refund_line_items"] = [{"subtotal": amount, "total_tax": "0.00"}]
            refunds.append(refund)
            if random.random() < 0.1:
                refunds.append(refund)
        status = "refunded" if sum(parts) == mills else "partially_refunded"
        return {"refunds": refunds, "financial_status": status}

    def _shop_order(self, person: Person) -> None:
        random = self.random
        at = self._at(person)
        order_id = self._shop_order_id(at)
        self.orders.append(order_id)
        status = random.choice(("paid", "paid", "paid", "pending", "failed", "cancelled"))
        row: Values = {
            "id": order_id,
            "shop_id": random.choice(("shop-1", "shop-2")),
            "slug": random.choice(("spring", "autumn", " spring ", None)),
            "network": random.choice(NETWORKS),
            "phone_number": self._phone(person),
            "email": self._email(person) if random.random() < 0.5 else None,
            "customer_name": " ".join(person.name) if random.random() < 0.5 else None,
            "total_price": self._amount(),
            "currency": random.choice(self.currencies),
            "status": status,
            "created_at": at,
            "updated_at": at + random.choice((0, 0, 1)) * DAY,
        }

        def changes(row: Values) -> Values:
            half = (row["total_price"] / 2).quantize(Decimal("0.01"))
            return random.choice(
                (
                    {"status": "refunded"},
                    {"status": "refunded", "refunded_amount": row["total_price"]},
                    {"status": "refunded", "refunded_amount": random.choice((Decimal(0), half))},
                    {"status": "partially_refunded", "refunded_amount": half},
                    {"status": "partially_refunded"},
                    {"status": "cancelled"},
                    {"status": "paid"},
                )
            )

        self._versions("shop_orders", row, changes)

    def _shop_order_id(self, at: datetime) -> str:
        """A number of its own, or now and then one that an order of Shopify has too."""
        order_id = self._id("sl-")
        random = Random(f"number of {order_id} at {at}")
        used_once = [
            one for one in self.orders if one.startswith("so-") and self.orders.count(one) == 1
        ]
        return random.choice(used_once) if used_once and random.random() < 0.3 else order_id

    def _touchpoint(self, person: Person, kind: str | None = None) -> None:
        random = self.random
        row: Values = {
            "id": self._id("t-"),
            "email": self._email(person) if random.random() < 0.75 else None,
            "phone": self._phone(person) if random.random() < 0.1 else None,
            "anonymous_id": person.device if random.random() < 0.7 else None,
            "shopify_customer_id": person.account if random.random() < 0.1 else None,
            "klaviyo_profile_id": person.profile if random.random() < 0.2 else None,
            "type": kind or random.choice(TOUCHPOINTS),
            "collection": random.choice(COLLECTIONS),
            "occurred_at": self._at(person),
        }
        if kind == "purchase":
            row["value"] = self._amount() if random.random() < 0.9 else None
            if random.random() < 0.7:
                row["reference_type"] = "order" if random.random() < 0.9 else "basket"
                row["reference_id"] = random.choice((*self.orders, "elsewhere-1", "elsewhere-2"))
            row |= _spaced(row)
        row |= _campaign_named(row)
        self._versions("touchpoints", row, lambda _: {"collection": random.choice(COLLECTIONS)})

    def _purchase(self, person: Person) -> None:
        self._touchpoint(person, "purchase")

    def _lead(self, person: Person) -> None:
        row = {
            "id": self._id("l-"),
            "email": self._email(person),
            "phone": self._phone(person),
            "first_name": person.name[0],
            "last_name": person.name[1] if self.random.random() < 0.7 else None,
            "captured_at": self._at(person),
        }
        self._versions("leads", row, lambda _: {"email": self._email(person)})

    def _profile(self, person: Person) -> None:
        if person.profile is None or ("profile", person.profile) in self._made:
            return
        self._made.add(("profile", person.profile))
        at = self._at(person)
        row = {
            "id": person.profile,
            "email": self._email(person),
            "phone_number": self._phone(person),
            "first_name": person.name[0],
            "email_consent": self.random.choice(("subscribed", "unsubscribed", None)),
            "email_consent_at": self.random.choice((None, at, at + 300 * DAY)),
            "sms_consent": self.random.choice(("subscribed", "never_subscribed", None)),
            "created": at,
            "updated": at + self.random.choice((0, 1, 300)) * DAY,
        }
        self._versions("klaviyo_profiles", row, lambda _: {"email_consent": "subscribed"})

    def _consent(self, person: Person) -> None:
        channel = self.random.choice(("email", "email", "sms"))
        row = {
            "id": self._id("cc-"),
            "email": self._email(person) if channel == "email" else None,
            "phone": self._phone(person) if channel == "sms" else None,
            "channel": channel,
            "subscribed": self.random.random() < 0.7,
            "changed_at": self._at(person),
        }
        self._versions("consent_changes", row, lambda row: {"subscribed": not row["subscribed"]})

    def _contact(self, person: Person) -> None:
        if person.contact is None or ("contact", person.contact) in self._made:
            return
        self._made.add(("contact", person.contact))
        row = {
            "id": person.contact,
            "name": " ".join(person.name),
            "email": self._email(person),
            "ai_score": self.random.choice(RATINGS),
            "updated_at": self._at(person),
        }
        self._versions("contacts", row, lambda _: {"email": self._email(person)})

    def _visit(self, person: Person) -> None:
        row = {
            "id": self._id("v-"),
            "shop_id": self.random.choice(("shop-1", "shop-2", "shop-3")),
            "slug": self.random.choice(("spring", "spring ", "winter")),
            "phone": self._phone(person),
            "email": self._email(person) if self.random.random() < 0.3 else None,
            "order_id": self.random.choice((None, "elsewhere-1", *self.orders)),
            "accessed_at": self._at(person),
        }
        self._versions("shop_visits", row, lambda _: {"slug": "autumn"})

    def _client_events(self, person: Person) -> None:
        """A few events of a client, most of them close to each other."""
        random = self.random
        stage = random.choice(CLIENT_STAGES)
        for _ in range(random.choice((1, 3, 6, 14))):
            if random.random() < 0.3:
                stage = random.choice(CLIENT_STAGES)
            row = {
                "id": self._id("e-"),
                "client_id": person.contact or "nobody",
                "stage": stage,
                "event_type": random.choice(CLIENT_EVENTS),
                "metadata": random.choice(METADATA),
                "occurred_at": self._at(person),
            }
            self._versions("client_journey_events", row, lambda _: {"event_type": "call"})

    def _crowd(self) -> None:
        """More people at one phone or device than its cap allows, and one who shows no more."""
        person = self.people[0]
        is_phone = self.random.random() < 0.5
        for number in range(self.random.choice((3, 4))):
            seen = {"email": f"crowd{number}@mail.example", "occurred_at": self._at(person)}
            shared = {"phone": person.phones[0]} if is_phone else {"anonymous_id": "dev-nobody"}
            row = {"id": self._id("t-"), "type": "page_view", **seen, **shared}
            self.rows.append(("touchpoints", row))
        alone = {"id": self._id("t-"), "type": "purchase", "value": self._amount()}
        self.rows.append(("touchpoints", {**alone, **shared, "occurred_at": self._at(person)}))
