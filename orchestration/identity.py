"""Why records are one customer, or why they are not: the ties that the evidence makes."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Engine

from orchestration.ingest.tenants import Tenant
from orchestration.people import (
    Found,
    Row,
    UnknownPerson,
    find_people,
    known_tenants,
    read_rows,
    require_marts,
    require_one,
    spellings,
)

Verdict = Literal["one customer", "kept apart", "never seen together"]


@dataclass(frozen=True)
class Identity:
    """Who somebody is, and what happened around the person's identifiers.

    `customer` is a row of `customers`, None for an identifier that belongs to nobody; the lists are
    rows of the marts about identity.
    """

    tenant_id: str
    asked: str
    customer_id: str | None
    old_customer_id: str | None
    """The id that was asked for, when it has been taken over."""
    customer: Row | None
    identities: list[Row]
    redirects: list[Row]
    splits: list[Row]
    refusals: list[Row]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """A tie between two identifiers (type:value), and a record that shows both."""

    identifier_a: str
    identifier_b: str
    source: str
    record: str
    refused_by: str | None = None
    """cap, veto or never, when the tie was refused."""
    reason: str | None = None
    """Why it was refused."""

    def seen_from(self, identifier: str) -> Step:
        """The same tie, beginning with this identifier."""
        if identifier == self.identifier_a:
            return self
        return replace(self, identifier_a=self.identifier_b, identifier_b=self.identifier_a)


@dataclass(frozen=True)
class Tie:
    """What ties two identifiers, or keeps them apart.

    `steps` lead from the one to the other by as few refused ties as can be, then by as few ties.
    """

    tenant_id: str
    asked: tuple[str, str]
    customer_ids: tuple[str | None, str | None]
    verdict: Verdict
    steps: list[Step]

    @property
    def refused(self) -> list[Step]:
        """The ties that were refused."""
        return [step for step in self.steps if step.refused_by]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Place:
    """Where an identifier stands among the evidence."""

    tenant_id: str
    customer_id: str | None
    identifiers: tuple[str, ...]
    old_customer_id: str | None = None


def explain_identity(database: Engine, identifier: str, tenant: str | None = None) -> Identity:
    """Who is known by an identifier or customer_id, by what else, and what was refused nearby.

    Raises:
        NothingBuilt: there are no marts yet.
        UnknownPerson: no record shows it, or people of several tenants have it.
    """
    tenants = known_tenants(tenant)
    with database.connect() as connection:
        require_marts(connection)
        place = _one_place(_places(connection, identifier, tenants), identifier, tenant)
        about = {"tenant_id": place.tenant_id, "customer_id": place.customer_id}
        customers = read_rows(
            connection,
            "select * from marts.customers"
            " where tenant_id = :tenant_id and customer_id = :customer_id",
            **about,
        )
        return Identity(
            tenant_id=place.tenant_id,
            asked=identifier,
            customer_id=place.customer_id,
            old_customer_id=place.old_customer_id,
            customer=customers[0] if customers else None,
            identities=read_rows(
                connection,
                "select * from marts.customer_identities"
                " where tenant_id = :tenant_id and customer_id = :customer_id"
                " order by first_seen_at, identifier_type, identifier",
                **about,
            ),
            redirects=read_rows(
                connection,
                "select * from marts.customer_redirects"
                " where tenant_id = :tenant_id and customer_id = :customer_id"
                " order by merged_at, old_customer_id",
                **about,
            ),
            splits=read_rows(
                connection,
                "select * from marts.customer_splits where tenant_id = :tenant_id"
                " and :customer_id in (customer_id, split_from_customer_id)"
                " order by split_at, customer_id",
                **about,
            ),
            refusals=_refusals_near(connection, place),
        )


def explain_tie(database: Engine, one: str, other: str, tenant: str | None = None) -> Tie:
    """The chain of records that makes two identifiers one customer, or what keeps them apart.

    A customer_id stands for the identifier that minted it.

    Raises:
        NothingBuilt: there are no marts yet.
        UnknownPerson: no record shows one of them, they are of different tenants, or people of
            several tenants have them.
    """
    tenants = known_tenants(tenant)
    with database.connect() as connection:
        require_marts(connection)
        places = [_places(connection, asked, tenants) for asked in (one, other)]
        shared = {place.tenant_id for place in places[0]} & {place.tenant_id for place in places[1]}
        if all(places) and not shared:
            raise UnknownPerson(
                f"{one} is known in {_names(places[0])}, {other} in {_names(places[1])}. "
                "Nothing ever ties people across tenants."
            )
        here, there = (
            _one_place(
                [place for place in found if place.tenant_id in shared or not shared], asked, tenant
            )
            for found, asked in zip(places, (one, other), strict=True)
        )
        steps = _shortest_way(
            _ties(connection, here, there), _anchors(connection, here), _anchors(connection, there)
        )
    verdict: Verdict = "never seen together" if steps is None else "kept apart"
    if here.customer_id is not None and here.customer_id == there.customer_id:
        verdict = "one customer"
    return Tie(
        tenant_id=here.tenant_id,
        asked=(one, other),
        customer_ids=(here.customer_id, there.customer_id),
        verdict=verdict,
        steps=steps or [],
    )


def _places(connection: Connection, identifier: str, tenants: Mapping[str, Tenant]) -> list[_Place]:
    """People known by it; where there are none, identifiers that belong to nobody."""
    people = find_people(connection, identifier, tenants)
    if people:
        return [
            _Place(one.tenant_id, one.customer_id, one.identifiers, one.old_customer_id)
            for one in people
        ]
    rows = read_rows(
        connection,
        """
        with wanted as (
            select spelling as identifier_key
            from unnest(cast(:spellings as text[])) as spelling
            union
            select types.identifier_type || ':' || spelling
            from unnest(cast(:spellings as text[])) as spelling
            cross join seeds.identifier_types as types
        )

        select distinct identifiers.tenant_id, identifiers.identifier_key
        from wanted
        inner join intermediate.int_identity__identifiers as identifiers
            on
                identifiers.tenant_id = any(:tenants)
                and wanted.identifier_key = identifiers.identifier_key
        left join intermediate.int_identity__people as people
            on
                identifiers.tenant_id = people.tenant_id
                and identifiers.identifier_key = people.identifier_key
        where
            people.customer_id is null
            and identifiers.identifier_type <> 'order_number'
        order by identifiers.tenant_id, identifiers.identifier_key
        """,
        tenants=list(tenants),
        spellings=spellings(identifier, tenants.values()),
    )
    return [_Place(row["tenant_id"], None, (row["identifier_key"],)) for row in rows]


def _one_place(places: list[_Place], identifier: str, tenant: str | None) -> _Place:
    if not places:
        raise UnknownPerson(
            f"No record shows {identifier}"
            + (f" in tenant {tenant}" if tenant else "")
            + ". Give an e-mail, a phone, an id of any source, or a customer_id. What "
            "seeds/blocked_identifiers.csv lists is known of nobody."
        )
    if len(places) > 1 and any(place.customer_id is None for place in places):
        raise UnknownPerson(
            f"{identifier} belongs to nobody, and stands for several values "
            f"({', '.join(f'{one.tenant_id}: {one.identifiers[0]}' for one in places)}). "
            "Name the tenant, or give the value with its type."
        )
    found = [Found(one.tenant_id, one.customer_id or "") for one in places]
    require_one(found, identifier, tenant)
    return places[0]


def _names(places: Iterable[_Place]) -> str:
    return ", ".join(sorted({place.tenant_id for place in places}))


def _refusals_near(connection: Connection, place: _Place) -> list[Row]:
    return read_rows(
        connection,
        """
        select refusals.*
        from marts.identity_refusals as refusals
        where
            refusals.tenant_id = :tenant_id
            and (
                refusals.identifier_a = any(:identifiers)
                or refusals.identifier_b = any(:identifiers)
            )
        order by refusals.rule, refusals.identifier_a, refusals.identifier_b
        """,
        tenant_id=place.tenant_id,
        identifiers=_identifiers_of(connection, place) or list(place.identifiers),
    )


def _identifiers_of(connection: Connection, place: _Place) -> list[str]:
    rows = read_rows(
        connection,
        "select identifier_type || ':' || identifier as identifier from marts.customer_identities"
        " where tenant_id = :tenant_id and customer_id = :customer_id order by 1",
        tenant_id=place.tenant_id,
        customer_id=place.customer_id,
    )
    return [row["identifier"] for row in rows]


def _anchors(connection: Connection, place: _Place) -> list[str]:
    """The identifiers asked for; of a customer_id, the one that minted it."""
    if place.identifiers:
        return list(place.identifiers)
    identifiers = _identifiers_of(connection, place)
    asked = place.old_customer_id or place.customer_id
    minting = [one for one in identifiers if minted_from(place.tenant_id, one) == asked]
    return minting or identifiers


def minted_from(tenant_id: str, identifier: str) -> str:
    """The customer_id that an identifier (type:value) mints: what the macro `hash_id` makes."""
    parts = (tenant_id, *identifier.split(":", 1))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _ties(connection: Connection, here: _Place, there: _Place) -> list[Step]:
    """Every tie near the two: what the evidence makes, what rules make, and what was refused."""
    evidence = read_rows(
        connection,
        """
        with nearby as (
            select distinct neighbourhood_id
            from intermediate.int_identity__people
            where tenant_id = :tenant_id and identifier_key = any(:identifiers)
        ),

        -- what is over its cap has no neighbourhood
        keys as (
            select people.identifier_key
            from nearby
            inner join intermediate.int_identity__people as people
                on
                    people.tenant_id = :tenant_id
                    and people.neighbourhood_id = nearby.neighbourhood_id
            union
            select unnest(cast(:identifiers as text[]))
        ),

        sighted as (
            select distinct identifiers.source, identifiers.sighting_id
            from keys
            inner join intermediate.int_identity__identifiers as identifiers
                on
                    identifiers.tenant_id = :tenant_id
                    and keys.identifier_key = identifiers.identifier_key
        )

        select
            identifiers.source,
            identifiers.sighting_id,
            sightings.sample_record_id as record,
            identifiers.identifier_key as identifier,
            identifiers.strength_order
        from sighted
        inner join intermediate.int_identity__identifiers as identifiers
            on
                identifiers.tenant_id = :tenant_id
                and sighted.source = identifiers.source
                and sighted.sighting_id = identifiers.sighting_id
        inner join intermediate.int_identity__sightings as sightings
            on
                sightings.tenant_id = :tenant_id
                and identifiers.source = sightings.source
                and identifiers.sighting_id = sightings.sighting_id
        where identifiers.is_evidence and not identifiers.is_blocked
        order by sightings.first_load_id, identifiers.source, record, identifiers.identifier_key
        """,
        tenant_id=here.tenant_id,
        identifiers=[*_anchors(connection, here), *_anchors(connection, there)],
    )
    known = {row["identifier"] for row in evidence}
    refusals = read_rows(
        connection,
        "select * from marts.identity_refusals"
        " where tenant_id = :tenant_id and identifier_a = any(:identifiers)"
        " order by rule, identifier_a, identifier_b",
        tenant_id=here.tenant_id,
        identifiers=sorted(known),
    )
    rules = read_rows(
        connection,
        # only identifiers that somebody has; a mention alone ties nobody
        """
        select rules.key_a, rules.key_b, rules.reason
        from intermediate.int_identity__rules as rules
        inner join intermediate.int_identity__people as one
            on rules.tenant_id = one.tenant_id and rules.key_a = one.identifier_key
        inner join intermediate.int_identity__people as other
            on rules.tenant_id = other.tenant_id and rules.key_b = other.identifier_key
        where
            rules.tenant_id = :tenant_id
            and rules.rule = 'always'
            and one.customer_id is not null
            and other.customer_id is not null
        order by rules.key_a, rules.key_b
        """,
        tenant_id=here.tenant_id,
    )
    capped = {row["identifier_a"] for row in refusals if row["rule"] == "cap"}
    ties = {
        (step.identifier_a, step.identifier_b): step for step in _seen_together(evidence, capped)
    }
    for row in refusals:
        source, _, record = row["source_record"].partition(":")
        ties[_pair(row["identifier_a"], row["identifier_b"])] = Step(
            *_pair(row["identifier_a"], row["identifier_b"]),
            source,
            record.strip(),
            refused_by=row["rule"],
            reason=row["reason"],
        )
    for row in rules:
        pair = _pair(row["key_a"], row["key_b"])
        refused = ties.get(pair)
        if refused is None or refused.refused_by in (None, "cap"):
            ties[pair] = Step(*pair, "identity_rules", row["reason"])
    return list(ties.values())


def _seen_together(evidence: Iterable[Row], capped: Collection[str]) -> Iterable[Step]:
    """On every sighting the strongest identifier is tied to each of the others, as in the models.

    The first record to show a pair proves it; what is over its cap ties nothing.
    """
    sightings: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in evidence:
        if row["identifier"] not in capped:
            sightings[row["source"], row["sighting_id"]].append(row)
    proven: dict[tuple[str, str], Step] = {}
    for shown in sightings.values():
        strongest, *others = sorted(
            shown, key=lambda row: (row["strength_order"], row["identifier"])
        )
        for row in others:
            pair = _pair(strongest["identifier"], row["identifier"])
            proven.setdefault(pair, Step(*pair, row["source"], row["record"]))
    return proven.values()


def _pair(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)


def _shortest_way(
    ties: Iterable[Step], start: Iterable[str], end: Collection[str]
) -> list[Step] | None:
    """The way with the fewest refused ties, then the fewest ties; None when nothing leads there."""
    ties_of: dict[str, list[Step]] = defaultdict(list)
    for tie in ties:
        ties_of[tie.identifier_a].append(tie)
        ties_of[tie.identifier_b].append(tie.seen_from(tie.identifier_b))
    came_by: dict[str, Step | None] = {}
    waiting: list[tuple[int, int, str, str, Step | None]] = [
        (0, 0, one, "", None) for one in sorted(start)
    ]
    while waiting:
        refused, length, identifier, _, step = heapq.heappop(waiting)
        if identifier in came_by:
            continue
        came_by[identifier] = step
        if identifier in end:
            return _way_back(came_by, step)
        for tie in ties_of[identifier]:
            if tie.identifier_b not in came_by:
                heapq.heappush(
                    waiting,
                    (
                        refused + (tie.refused_by is not None),
                        length + 1,
                        tie.identifier_b,
                        identifier,
                        tie,
                    ),
                )
    return None


def _way_back(came_by: Mapping[str, Step | None], step: Step | None) -> list[Step]:
    way = []
    while step is not None:
        way.append(step)
        step = came_by[step.identifier_a]
    return way[::-1]
