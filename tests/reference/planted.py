"""A town whose truth is known: who is who, and what they share without being one person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from .histories import File, World
from .records import Values, email_of, phone_of
from .seeds import Tenant

Item = tuple[str, str]
"""An identifier's type and normalised value, or ('order', order_id)."""
NOBODY = -1
NOW = datetime(2026, 6, 1, tzinfo=UTC)
JUNK_EMAILS = ("test@example.com", "noreply@example.com", "n/a", "unknown@example.com")
JUNK_PHONES = ("0000000000", "n/a", "-", "011111111111")


@dataclass(frozen=True)
class Town:
    """Records, and whose each identifier and order is; shared identifiers are nobody's."""

    rows: dict[str, list[Values]]
    truth: dict[Item, int]

    def world(self, tenant: Tenant) -> World:
        """The town as one load of one tenant."""
        files = [File(source, "all.jsonl", tuple(rows)) for source, rows in self.rows.items()]
        return World(0, tenant, (tuple(files),))


@dataclass(frozen=True)
class Quality:
    """Pairs of things of one person, and pairs that were found to be of one customer."""

    right_pairs: int
    found_pairs: int
    true_pairs: int

    @property
    def precision(self) -> float:
        return self.right_pairs / self.found_pairs

    @property
    def recall(self) -> float:
        return self.right_pairs / self.true_pairs


def quality(truth: Mapping[Item, int], found: Mapping[Item, str]) -> Quality:
    """Compare people with customers; what was not found is alone."""
    customers: dict[Item, Hashable] = {item: found.get(item, item) for item in truth}
    both = Counter((truth[item], customers[item]) for item in truth)
    return Quality(
        right_pairs=_pairs(both.values()),
        found_pairs=_pairs(Counter(customers.values()).values()),
        true_pairs=_pairs(Counter(truth.values()).values()),
    )


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def plant(seed: int, people: int) -> Town:
    """A town of at least so many people.

    Ordinary people; households with one phone whose members have shop accounts of their own, and
    larger ones whose members have none; box offices whose phone stands on everybody's order; phones
    that were somebody else's years ago; junk and typing errors on anybody's records.
    """
    planting = _Planting(Random(seed))
    while planting.people < people:
        draw = planting.random.random()
        if draw < 0.80:
            planting.ordinary()
        elif draw < 0.88:
            planting.household()
        elif draw < 0.92:
            planting.crowded_household()
        elif draw < 0.93:
            planting.box_office("shopify_orders")
        elif draw < 0.94:
            planting.box_office("shop_orders")
        else:
            planting.recycled_phone()
    return Town(planting.rows, planting.truth())


@dataclass(frozen=True)
class _Person:
    number: int
    emails: tuple[str, ...]
    account: str | None
    phone: str
    device: str


class _Planting:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.rows: dict[str, list[Values]] = {}
        self.people = 0
        self._phones = 0
        self._records = 0
        self._owners: dict[Item, int] = {}

    def truth(self) -> dict[Item, int]:
        return {item: owner for item, owner in self._owners.items() if owner != NOBODY}

    def ordinary(self) -> None:
        person = self._person(has_account=self.random.random() < 0.7)
        for _ in range(self.random.randint(2, 6)):
            self._anything(person, person.phone)

    def household(self) -> None:
        """Each orders with an account; phone and tablet are shared."""
        members = [self._person(has_account=True) for _ in range(self.random.randint(2, 3))]
        tablet = members[0].device if self.random.random() < 0.3 else None
        for person in members:
            for _ in range(self.random.randint(1, 3)):
                self._order(person, members[0].phone)
            self._page_view(person, tablet or person.device, person.emails[0])

    def crowded_household(self) -> None:
        """More than a phone may be tied to, and nobody has an account."""
        members = [self._person(has_account=False) for _ in range(self.random.randint(4, 6))]
        for person in members:
            self._lead(person, members[0].phone, person.emails[0])
            self._order(person, members[0].phone)
            self._page_view(person, person.device)

    def box_office(self, source: str) -> None:
        """One phone stands on the orders of dozens."""
        phone = self._phone()
        for _ in range(self.random.randint(12, 40)):
            person = self._person(has_account=False)
            if source == "shopify_orders":
                self._order(person, phone)
            else:
                self._shop_order(person, phone)
            self._page_view(person, person.device)

    def recycled_phone(self) -> None:
        """Somebody else's number, years later."""
        before, after = self._person(has_account=True), self._person(has_account=True)
        for _ in range(2):
            self._order(before, before.phone, years_ago=1)
            self._order(after, before.phone)

    def _person(self, *, has_account: bool) -> _Person:
        self.people += 1
        number = self.people
        emails = [f"person.{number}@mail.example"]
        if self.random.random() < 0.3:
            emails.append(f"p{number}@work.example")
        return _Person(
            number,
            tuple(emails),
            f"7{number:06d}" if has_account else None,
            self._phone(),
            f"device-{number}",
        )

    def _phone(self) -> str:
        self._phones += 1
        return f"+49170{2_000_000 + self._phones * 37}"

    def _anything(self, person: _Person, phone: str) -> None:
        draw = self.random.random()
        if draw < 0.4:
            self._order(person, phone)
        elif draw < 0.55:
            self._shop_order(person, phone)
        elif draw < 0.85:
            self._page_view(person, person.device)
        else:
            self._lead(person, phone)

    def _order(self, person: _Person, phone: str, *, years_ago: int = 0) -> None:
        order_id = self._id()
        email = self._email(person)
        account = {"id": person.account, "email": person.emails[0]} if person.account else None
        at = self._at() - timedelta(days=365 * years_ago)
        self._add(
            "shopify_orders",
            person,
            {"id": order_id, "email": email, "phone": self._spelled(phone), "customer": account,
             "created_at": at, "updated_at": at, "currency": "EUR", "financial_status": "paid",
             "total_price": Decimal("20")},
        )  # fmt: skip
        if person.account:
            self._own(("shopify_customer_id", person.account), person)
            self._own(("email", person.emails[0]), person)
        self._own(("order", f"shopify:{order_id}"), person)

    def _shop_order(self, person: _Person, phone: str) -> None:
        order_id, at = self._id(), self._at()
        self._add(
            "shop_orders",
            person,
            {"id": order_id, "email": self._email(person), "phone_number": self._spelled(phone),
             "shop_id": "corner", "created_at": at, "updated_at": at, "currency": "EUR",
             "status": "paid", "total_price": Decimal("10")},
        )  # fmt: skip
        self._own(("order", f"shop:{order_id}"), person)

    def _page_view(self, person: _Person, device: str, email: str | None = None) -> None:
        row = {"id": self._id(), "type": "page_view", "anonymous_id": device}
        row["email"] = email or self._email(person)
        self._add("touchpoints", person, {**row, "occurred_at": self._at()})

    def _lead(self, person: _Person, phone: str, email: str | None = None) -> None:
        """A lead; one whose e-mail is given makes no mistakes."""
        row = {"id": self._id(), "email": email or self._email(person)}
        row["phone"] = phone if email else self._spelled(phone)
        self._add("leads", person, {**row, "captured_at": self._at()})

    def _add(self, source: str, person: _Person, row: Values) -> None:
        self.rows.setdefault(source, []).append(row)
        self._own(("email", email_of(row.get("email"))), person)
        self._own(("phone", phone_of(row.get("phone") or row.get("phone_number"), "DE")), person)
        self._own(("anonymous_id", row.get("anonymous_id")), person)

    def _own(self, item: tuple[str, str | None], person: _Person) -> None:
        kind, value = item
        if value is None or value in JUNK_EMAILS:
            return
        owner = self._owners.setdefault((kind, value), person.number)
        if owner != person.number:
            self._owners[kind, value] = NOBODY

    def _email(self, person: _Person) -> str:
        """Mostly an address of theirs; now and then junk, or with a typing error."""
        draw = self.random.random()
        if draw < 0.02:
            return self.random.choice(JUNK_EMAILS)
        email = self.random.choice(person.emails)
        if draw < 0.04:
            return email.replace("example", f"exmaple{person.number}")
        return email.upper() if draw < 0.1 else email

    def _spelled(self, phone: str) -> str:
        draw = self.random.random()
        if draw < 0.03:
            return self.random.choice(JUNK_PHONES)
        if draw < 0.05:
            # a typing error, each time another one, in a range that nobody has
            return self._phone().replace("+49170", "+49179")
        return phone.replace("+49", "0") if draw < 0.5 else phone

    def _at(self) -> datetime:
        return NOW - timedelta(seconds=self.random.randrange(300 * 86_400))

    def _id(self) -> str:
        self._records += 1
        return f"r{self._records}"
