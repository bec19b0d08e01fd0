"""Who is who: identifiers, caps, vetoes, manual rules, and the ids of the customers."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from .records import Record, email_of, first_and_other_words, phone_of, text_of
from .seeds import EVERY_TENANT, ManualRule, Seeds, Tenant

LONGEST = 320
ALONE_IN_A_GROUP = ("shopify_customer_id", "contact")
Key = tuple[str, str]
"""An identifier's type and value."""
Name = tuple[str | None, str | None]


@dataclass(frozen=True)
class Sighting:
    """Identifiers that stand on one record."""

    source: str
    keys: tuple[Key, ...]
    name: Name
    first_seen_at: datetime
    seen_at: datetime
    first_load: int
    order_id: str | None = None
    uncounted: frozenset[Key] = frozenset()
    """Those of an account beside the order's own contact: they tie, and do not count."""


@dataclass
class Identity:
    """One identifier of a customer, as `customer_identities` shows it."""

    customer_id: str
    source: str
    first_seen_at: datetime
    last_seen_at: datetime
    seen_count: int
    is_primary: bool = False


@dataclass
class Identities:
    """The resolved identifiers of one tenant."""

    identities: dict[Key, Identity]
    refusals: set[tuple[Key, Key]]
    names: dict[str, dict[Name, tuple[int, datetime]]] = field(default_factory=dict)

    def owner(self, keys: Iterable[Key]) -> str | None:
        """The customer of the first of these identifiers that is anybody's."""
        known = (self.identities[key] for key in keys if key in self.identities)
        return next((identity.customer_id for identity in known), None)

    def customers(self) -> list[str]:
        return sorted({identity.customer_id for identity in self.identities.values()})


@dataclass(frozen=True)
class Edge:
    a: Key
    b: Key
    is_rule: bool
    strength: int
    seen_count: int

    @property
    def rank(self) -> tuple[object, ...]:
        return (
            not self.is_rule,
            self.strength,
            -self.seen_count,
            *sorted((joined(self.a), joined(self.b))),
        )


def joined(key: Key) -> str:
    return ":".join(key)


def sightings_of(record: Record, tenant: Tenant) -> list[Sighting]:
    """What one record says about who somebody is, the strongest identifier first."""
    values, region = record.values, tenant.phone_region
    email, phone = email_of(values.get("email")), phone_of(values.get("phone"), region)
    name: Name = (None, None)
    found: list[tuple[str, str | None]] = []
    order_id: str | None = None
    uncounted: frozenset[Key] = frozenset()
    match record.source:
        case "shopify_orders" if values.get("test"):
            return []
        case "shopify_orders":
            customer = values.get("customer") or {}
            account = text_of(customer.get("id"))
            name = (text_of(customer.get("first_name")), text_of(customer.get("last_name")))
            others = {
                ("email", email_of(customer.get("email"))),
                ("phone", phone_of(customer.get("phone"), region)),
            } - {("email", email), ("phone", phone)}
            found = [
                ("email", email),
                *(other for other in others if other[0] == "email"),
                ("shopify_customer_id", account),
                ("phone", phone),
                *(other for other in others if other[0] == "phone"),
            ]
            uncounted = frozenset((kind, value) for kind, value in others if value is not None)
            order_id = f"shopify:{record.record_id}"
        case "shop_orders":
            phone = phone_of(values.get("phone_number"), region)
            name = first_and_other_words(values.get("customer_name"))
            at_shop = f"{values['shop_id']}:{phone}" if phone else None
            found = [("email", email), ("phone", phone), ("shop_phone", at_shop)]
            order_id = f"shop:{record.record_id}"
        case "shop_visits":
            at_shop = f"{values['shop_id']}:{phone}" if phone else None
            found = [("email", email), ("phone", phone), ("shop_phone", at_shop)]
        case "touchpoints":
            found = [
                ("email", email),
                ("shopify_customer_id", text_of(values.get("shopify_customer_id"))),
                ("klaviyo_profile_id", text_of(values.get("klaviyo_profile_id"))),
                ("phone", phone),
                ("anonymous_id", text_of(values.get("anonymous_id"))),
            ]
            if values["type"] == "purchase":
                order_id = f"touchpoint:{record.record_id}"
        case "leads":
            name = (text_of(values.get("first_name")), text_of(values.get("last_name")))
            found = [("email", email), ("lead", record.record_id), ("phone", phone)]
        case "klaviyo_profiles":
            phone = phone_of(values.get("phone_number"), region)
            name = (text_of(values.get("first_name")), text_of(values.get("last_name")))
            found = [
                ("email", email),
                ("klaviyo_profile_id", record.record_id),
                ("phone", phone),
            ]
        case "contacts":
            name = first_and_other_words(values.get("name"))
            found = [("email", email), ("contact", record.record_id)]
        case _:
            return []
    keys = tuple((kind, value) for kind, value in found if value is not None)
    return [
        Sighting(
            record.source,
            keys,
            name,
            record.first_seen_at,
            record.seen_at,
            record.first_load,
            order_id,
            uncounted,
        )
    ]


def first_loads_of(versions: Iterable[Record], tenant: Tenant) -> dict[Key, int]:
    """The load that first brought each identifier, in whatever version of a record."""
    first_loads: dict[Key, int] = {}
    for version in versions:
        for sighting in sightings_of(version, tenant):
            for key in sighting.keys:
                first_loads[key] = min(version.load, first_loads.get(key, version.load))
    return first_loads


def is_blocked(key: Key, tenant: Tenant, seeds: Seeds) -> bool:
    kind, value = key
    if kind == "shop_phone":
        kind, value = "phone", value.rpartition(":")[2]
    # whatever the country and the first digit of its numbers, the rest is one digit
    if kind == "phone" and len(set(value[4:])) <= 1:
        return True
    return any(
        row["identifier_type"] == kind
        and row["tenant_id"] in (EVERY_TENANT, tenant.tenant_id)
        and _is_like(value.lower(), row["pattern"])
        for row in seeds.blocked
    )


def _is_like(text: str, pattern: str) -> bool:
    expression, escaped = "", False
    for character in pattern:
        if escaped:
            expression, escaped = expression + re.escape(character), False
        elif character == "\\":
            escaped = True
        else:
            expression += {"%": ".*", "_": "."}.get(character, re.escape(character))
    return re.fullmatch(expression, text, re.DOTALL) is not None


def over_cap(sightings: Iterable[Sighting], seeds: Seeds) -> set[Key]:
    """Identifiers seen beside more strong identifiers of one type than their type allows."""
    beside: dict[Key, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sighting in sightings:
        for key in sighting.keys:
            for kind, value in sighting.keys:
                if (kind, value) != key and seeds.identifier_types[kind].is_strong:
                    beside[key][kind].add(value)
    capped = set()
    for key, kinds in beside.items():
        cap = seeds.identifier_types[key[0]].cap
        if cap is not None and max(len(values) for values in kinds.values()) > cap:
            capped.add(key)
    return capped


def resolve(
    records: Iterable[Record],
    tenant: Tenant,
    seeds: Seeds,
    rules: Iterable[ManualRule],
    order_ids: Collection[str],
    first_loads: Mapping[Key, int],
) -> Identities:
    """Every usable identifier with its customer, and the ties that were refused.

    Of the purchases seen as touchpoints only those in `order_ids` are orders; ids are minted from
    the identifier with the least of `first_loads`.
    """
    types = seeds.identifier_types
    seen = [one for record in records for one in sightings_of(record, tenant)]
    shown = {key for sighting in seen for key in sighting.keys}
    blocked = {key for key in shown if len(key[1]) > LONGEST or is_blocked(key, tenant, seeds)}
    usable = [_without(sighting, blocked) for sighting in seen]
    capped = over_cap(usable, seeds)
    usable = [_without(sighting, capped) for sighting in usable]

    always: list[Edge] = []
    never: list[tuple[Key, Key]] = []
    tied: set[Key] = set()
    for rule in rules:
        a, b = _key(rule.a), _key(rule.b)
        if a not in shown or b not in shown:
            continue
        if rule.is_always:
            always.append(Edge(a, b, True, 0, 0))
            tied |= {a, b}
        else:
            never.append((a, b))

    linked = []
    for sighting, whole in zip(usable, seen, strict=True):
        if sighting.keys or sighting.order_id not in order_ids:
            linked.append(sighting)
        elif not tied.intersection(whole.keys):
            own = ("order_reference", str(sighting.order_id))
            linked.append(replace(sighting, keys=(own,)))

    groups = {key: {key} for sighting in linked for key in sighting.keys}
    groups |= {key: {key} for key in tied}
    refusals = set()
    for edge in sorted([*always, *_evidence(linked, seeds)], key=lambda edge: edge.rank):
        one, other = groups[edge.a], groups[edge.b]
        if one is other:
            continue
        if not edge.is_rule and _is_refused(one, other, never):
            refusals.add((edge.a, edge.b))
            continue
        one |= other
        for key in other:
            groups[key] = one

    shown_by: dict[Key, list[Sighting]] = defaultdict(list)
    for sighting in linked:
        for key in sighting.keys:
            if key not in tied:
                shown_by[key].append(sighting)
    for sighting in seen:
        for key in tied.intersection(sighting.keys):
            shown_by[key].append(sighting)

    identities: dict[Key, Identity] = {}
    for key in groups:
        showing = shown_by[key]
        first = min(showing, key=lambda sighting: sighting.first_load)
        identities[key] = Identity(
            customer_id="",
            source=first.source,
            first_seen_at=min(sighting.first_seen_at for sighting in showing),
            last_seen_at=max(sighting.seen_at for sighting in showing),
            seen_count=sum(key not in sighting.uncounted for sighting in showing),
        )
    for key, group in groups.items():
        minting = min(
            group, key=lambda one: (first_loads.get(one, 0), types[one[0]].strength, one[1])
        )
        identities[key].customer_id = hash_id(tenant.tenant_id, *minting)
    for key in groups:
        rivals = [one for one in groups[key] if one[0] == key[0]]
        identities[key].is_primary = key == min(
            rivals,
            key=lambda one: (
                -identities[one].seen_count,
                -identities[one].last_seen_at.timestamp(),
                one[1],
            ),
        )
    resolved = Identities(identities, refusals)
    for sighting in linked:
        owner = resolved.owner(sighting.keys)
        if owner is not None and any(sighting.name):
            names = resolved.names.setdefault(owner, {})
            count, last_seen_at = names.get(sighting.name, (0, sighting.seen_at))
            names[sighting.name] = (
                count + 1,
                max(last_seen_at, sighting.seen_at),
            )
    return resolved


def _evidence(sightings: Iterable[Sighting], seeds: Seeds) -> list[Edge]:
    """A star on every record, from its strongest identifier to each of the others."""
    types = seeds.identifier_types
    seen: Counter[tuple[Key, Key]] = Counter()
    for sighting in sightings:
        if not sighting.keys:
            continue
        strongest = min(sighting.keys, key=lambda key: (types[key[0]].strength, key[1]))
        for key in sighting.keys:
            if key != strongest:
                seen[strongest, key] += 1
    return [
        Edge(a, b, False, max(types[a[0]].strength, types[b[0]].strength), count)
        for (a, b), count in seen.items()
    ]


def _is_refused(one: set[Key], other: set[Key], never: Iterable[tuple[Key, Key]]) -> bool:
    for kind in ALONE_IN_A_GROUP:
        if any(key[0] == kind for key in one) and any(key[0] == kind for key in other):
            return True
    return any((a in one and b in other) or (a in other and b in one) for a, b in never)


def _without(sighting: Sighting, keys: set[Key]) -> Sighting:
    return replace(sighting, keys=tuple(key for key in sighting.keys if key not in keys))


def _key(text: str) -> Key:
    """An identifier as a person wrote it into a rule."""
    kind, _, value = text.partition(":")
    return kind, (email_of(value) or value) if kind == "email" else value


def hash_id(*parts: str) -> str:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
