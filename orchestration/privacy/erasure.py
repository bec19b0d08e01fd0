# ruff: noqa: S608
# Statements are put together from the contracts' declarations only; values are parameters.
"""Forgetting people: their records go, or keep their amounts under a pseudonym.

A request is carried out once, by the build after the one that loaded it: only then is it known who
the person is. Everything that is known of the person becomes keyed hashes, and these decide what
happens to a record: in the tables, and in every file that is loaded later. An old file that comes
back, even into an empty warehouse with these hashes, does not bring the person back. What was
recorded after the request is a new acquaintance.

The declarations stand with the contracts, as `erasure` of each source.
"""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy
from psycopg.types.json import Jsonb

from orchestration.activation.destinations import DESTINATIONS
from orchestration.ingest.contracts import Contract, Erasure, quote, read_contracts
from orchestration.privacy.texts import FORGOTTEN_TEXT
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.warehouse.errors import JourneyError
from orchestration.warehouse.storage import writing_to

PSEUDONYM_DOMAIN = "erased.invalid"
ADDRESS_TYPES = ("email", "phone")
PHONE_ENDING = 8
"""Digits by which a phone is found in a text: fewer would take other people's rows along."""
PHONE_SEPARATORS = " -/.()\u00a0"


class ErasureError(JourneyError):
    """A request cannot be carried out as it stands."""


@dataclass(frozen=True)
class Request:
    """Somebody of a tenant wants to be forgotten; `email` and `phone` are normalised."""

    tenant_id: str
    request_id: str
    email: str | None
    phone: str | None
    requested_at: datetime

    @property
    def addresses(self) -> set[tuple[str, str]]:
        """What the request names: type and value."""
        named = zip(ADDRESS_TYPES, (self.email, self.phone), strict=True)
        return {(kind, value) for kind, value in named if value}


@dataclass(frozen=True)
class Receipt:
    """What became of a request. Nothing in it names the person."""

    erasure_id: uuid.UUID
    tenant_id: str
    request_id: str
    outcome: str
    """`erased` or `refused`."""
    reason: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that went, or lost everything personal, per table."""

    def to_dict(self) -> dict[str, Any]:
        """The receipt as plain values."""
        return {**asdict(self), "erasure_id": str(self.erasure_id)}

    def explain(self) -> str:
        """The receipt in a line."""
        named = f"erasure request {self.request_id} of tenant {self.tenant_id}"
        if self.reason is not None:
            return f"{named} refused: {self.reason}"
        return f"{named} carried out: {sum(self.rows.values())} rows, receipt {self.erasure_id}"


@dataclass(frozen=True)
class _Person:
    """What is known of who asks: the published ids and every identifier, by type and value."""

    customer_ids: frozenset[str]
    identifiers: frozenset[tuple[str, str]]

    @property
    def keys(self) -> list[str]:
        """The identifiers as the models write them."""
        return sorted(":".join(one) for one in self.identifiers)


def erase_requested(database: sqlalchemy.Engine, settings: Settings) -> list[Receipt]:
    """Carry out the requests that the latest build has seen, each in a transaction of its own.

    Nothing happens unless that build succeeded as a whole. The next derivation makes everything
    anew, so the marts follow with the build that calls this. Payload files of dry runs and exports
    are deleted: they are written again by the next one.

    The latest request comes first, so that an earlier one of the same person, as when somebody
    asked again because nothing seemed to happen, finds nothing left to do.

    Raises:
        ContractError: the declarations cannot be used.
        StorageError: the files cannot be deleted; nobody was forgotten.
    """
    contracts = read_contracts(DBT_PROJECT_DIR)
    receipts = []
    with database.connect() as connection:
        with connection.begin():
            is_loaded = _exists(_cursor(connection), "raw.erasure_requests")
        requests = _pending(connection) if is_loaded else []
        if requests:
            # first, for a request that was carried out is not carried out again
            for folder in (settings.home / "outbox", settings.home / "exports"):
                if folder.exists():
                    with writing_to(folder):
                        shutil.rmtree(folder)
        for request in requests:
            with connection.begin():
                receipts.append(_erase(_cursor(connection), contracts, request))
    return receipts


def request_erasure(
    database: sqlalchemy.Engine,
    tenant_id: str,
    *,
    email: str | None = None,
    phone: str | None = None,
) -> str:
    """Record a request made by hand, beside those of the landing files; returns its id.

    It is a load, and loads come one after the other: a build takes the highest number of a load for
    all that there is.

    Args:
        database: the warehouse.
        tenant_id: whose customer it is.
        email: as written.
        phone: in E.164.

    Raises:
        ErasureError: neither is an address, or the phone is unknown to the tenant.
        LoadBusy: a load is running.
    """
    from orchestration.ingest.load import only_load

    if phone is not None and not phone.startswith("+"):
        raise ErasureError(f"{phone!r} is not a phone in E.164; write it like +491701234567")
    if email is not None and "@" not in email:
        raise ErasureError(f"{email!r} is not an e-mail address")
    if email is None and phone is None:
        raise ErasureError("Name whom to forget: --email or --phone")
    request_id = f"by-hand-{uuid.uuid4()}"
    with database.connect() as connection, only_load(connection), connection.begin():
        cursor = _cursor(connection)
        cursor.execute(
            """
            insert into ops.loads (
                tenant_id, source, file, sha256, bytes, status, rows_read, rows_loaded,
                started_at, finished_at
            )
            values (%s, 'erasure_requests', '(by hand)', %s, 0, 'loaded', 1, 1, now(), now())
            returning load_id
            """,
            (tenant_id, request_id),
        )
        (load_id,) = cursor.fetchone() or (0,)
        cursor.execute(
            """
            insert into raw.erasure_requests (
                tenant_id, id, email, phone, requested_at, _load_id, _line, _loaded_at, _is_current
            )
            values (%s, %s, %s, %s, now(), %s, 1, now(), true)
            """,
            (tenant_id, request_id, email, phone, load_id),
        )
        if phone is not None:
            cursor.execute(
                """
                insert into raw.phone_numbers (tenant_id, phone, region, e164)
                select %(tenant_id)s, %(phone)s, max(region), %(phone)s
                from raw.phone_numbers
                where tenant_id = %(tenant_id)s
                having max(region) is not null
                on conflict do nothing
                """,
                {"tenant_id": tenant_id, "phone": phone},
            )
    return request_id


def forget_again(
    cursor: psycopg.Cursor[Any],
    contract: Contract,
    tenant_id: str,
    load_id: int,
    new_phones: Sequence[str],
) -> int:
    """Take out of one load what shows people who were forgotten before; returns the rows.

    Spellings of phones that came with it go when no row shows them any more.
    """
    cursor.execute(
        "select max(before) from ops.erased_identifiers where tenant_id = %s", [tenant_id]
    )
    if (cursor.fetchone() or (None,))[0] is None:
        return 0
    forgotten = _scrub(cursor, contract, tenant_id, load_id)
    if forgotten and new_phones:
        shown = " union all ".join(
            f"select {expression} as phone from {contract.table} where tenant_id = %(tenant_id)s"
            for expression in contract.phones
        )
        cursor.execute(
            f"""
            delete from raw.phone_numbers
            where
                tenant_id = %(tenant_id)s
                and phone = any(%(phones)s)
                and exists (
                    select 1
                    from ops.erased_identifiers
                    where
                        erased_identifiers.tenant_id = phone_numbers.tenant_id
                        and erased_identifiers.identifier_hash
                        = {_hash("'phone'", "phone_numbers.e164")}
                )
                and not exists (
                    select 1
                    from ({shown}) as shown
                    where phone_numbers.phone = shown.phone
                )
            """,
            {"tenant_id": tenant_id, "phones": list(new_phones)},
        )
    return forgotten


def _pending(connection: sqlalchemy.Connection) -> list[Request]:
    rows = connection.execute(
        sqlalchemy.text(
            f"""
            select
                requests.tenant_id,
                requests.id as request_id,
                {_normalised("requests.email", "email", "requests")} as email,
                {_normalised("requests.phone", "phone", "requests")} as phone,
                requests.requested_at
            from raw.erasure_requests as requests
            where
                requests._is_current
                and requests._load_id <= (
                    select
                        case
                            when verdict = 'succeeded' and details ->> 'scope' = 'whole'
                                then (details -> 'covers' ->> 'load_id')::bigint
                        end
                    from ops.builds
                    where verdict <> 'running'
                    order by started_at desc, build_id
                    limit 1
                )
                and not exists (
                    select 1
                    from ops.erasures
                    where
                        requests.tenant_id = erasures.tenant_id
                        and requests.id = erasures.request_id
                )
            order by requests.tenant_id, requests.requested_at desc, requests.id desc
            """
        )
    )
    requests = [Request(**row) for row in rows.mappings()]
    connection.rollback()
    return requests


def _erase(
    cursor: psycopg.Cursor[Any], contracts: Mapping[str, Contract], request: Request
) -> Receipt:
    erasure_id = uuid.uuid4()
    receipt = Receipt(erasure_id, request.tenant_id, request.request_id, "erased")
    shared = _shared(cursor, request)
    named = request.addresses - shared
    if not named:
        reason = (
            f"its {', '.join(sorted(kind for kind, _ in shared))} is shared by many people: name "
            "another address"
            if shared
            else "it names neither an e-mail nor a phone"
        )
        receipt = Receipt(erasure_id, request.tenant_id, request.request_id, "refused", reason)
        _file(cursor, receipt, request, None)
        return receipt
    known_as = _forgotten_already(cursor, request, named)
    if known_as is not None:
        _file(cursor, receipt, request, known_as)
        return receipt
    pseudonym = f"erased-{erasure_id.hex}"
    _file(cursor, receipt, request, pseudonym)
    person = _person(cursor, request.tenant_id, named)
    _remember(cursor, receipt, request, person)
    _keep_apart(cursor, request, person)
    rows = Counter[str]()
    _queue_deletions(cursor, request, person)
    for contract in contracts.values():
        rows[f"raw.{contract.source}"] += _scrub(cursor, contract, request.tenant_id, None)
    rows["raw.rejected_rows"] += _forget_texts(cursor, request.tenant_id, person)
    rows["raw.phone_numbers"] += _forget_phones(cursor, contracts, request.tenant_id, person)
    rows.update(_forget_customer(cursor, request, person, pseudonym))
    found = {table: count for table, count in sorted(rows.items()) if count}
    cursor.execute(
        "update ops.erasures set details = %s where erasure_id = %s",
        (Jsonb({"rows": found}), erasure_id),
    )
    return Receipt(erasure_id, request.tenant_id, request.request_id, "erased", rows=found)


def _file(
    cursor: psycopg.Cursor[Any], receipt: Receipt, request: Request, pseudonym: str | None
) -> None:
    cursor.execute(
        """
        insert into ops.erasures (
            erasure_id, tenant_id, request_id, requested_at, decided_at, outcome, reason, pseudonym
        )
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            receipt.erasure_id,
            request.tenant_id,
            request.request_id,
            request.requested_at,
            datetime.now(UTC),
            receipt.outcome,
            receipt.reason,
            pseudonym,
        ),
    )


def _shared(cursor: psycopg.Cursor[Any], request: Request) -> set[tuple[str, str]]:
    """Those of the named addresses that are over their cap: they belong to nobody."""
    if not _exists(cursor, "intermediate.int_identity__capped"):
        return set()
    cursor.execute(
        """
        select identifier_key
        from intermediate.int_identity__capped
        where
            tenant_id = %s
            and not is_ruled
            and identifier_key = any(%s)
        """,
        (request.tenant_id, [f"{kind}:{value}" for kind, value in request.addresses]),
    )
    capped = {key for (key,) in cursor.fetchall()}
    return {one for one in request.addresses if ":".join(one) in capped}


def _forgotten_already(
    cursor: psycopg.Cursor[Any], request: Request, named: set[tuple[str, str]]
) -> str | None:
    """The pseudonym of somebody of whom all that is named was forgotten by a later request."""
    cursor.execute(
        f"""
        select
            min(erasures.pseudonym collate "C") as pseudonym,
            count(distinct erased_identifiers.identifier_hash) as forgotten
        from unnest(cast(%(kinds)s as text[]), cast(%(identifiers)s as text[]))
            as shown (kind, identifier)
        inner join ops.erased_identifiers
            on
                erased_identifiers.tenant_id = %(tenant_id)s
                and erased_identifiers.identifier_hash = {_hash("shown.kind", "shown.identifier")}
                and erased_identifiers.before >= %(requested_at)s
        inner join ops.erasures on erased_identifiers.erasure_id = erasures.erasure_id
        """,
        {
            "tenant_id": request.tenant_id,
            "requested_at": request.requested_at,
            "kinds": [kind for kind, _ in named],
            "identifiers": [value for _, value in named],
        },
    )
    pseudonym, forgotten = cursor.fetchone() or (None, 0)
    return pseudonym if forgotten == len(named) else None


def _person(cursor: psycopg.Cursor[Any], tenant_id: str, named: set[tuple[str, str]]) -> _Person:
    """Everything that the latest build knows of the person; what is named, before the first."""
    if not _exists(cursor, "intermediate.int_identity__people"):
        return _Person(frozenset(), frozenset(named))
    cursor.execute(
        """
        with owners as (
            select distinct customer_id
            from intermediate.int_identity__people
            where
                tenant_id = %(tenant_id)s
                and identifier_key = any(%(keys)s)
                and customer_id is not null
        )

        select
            people.customer_id,
            split_part(people.identifier_key, ':', 1) as identifier_type,
            substr(people.identifier_key, strpos(people.identifier_key, ':') + 1) as identifier
        from owners
        inner join intermediate.int_identity__people as people
            on
                people.tenant_id = %(tenant_id)s
                and owners.customer_id = people.customer_id
        """,
        {"tenant_id": tenant_id, "keys": [":".join(one) for one in named]},
    )
    rows = cursor.fetchall()
    customer_ids = {customer_id for customer_id, _, _ in rows}
    identifiers = {(kind, value) for _, kind, value in rows}
    if _exists(cursor, "marts.customer_redirects"):
        cursor.execute(
            """
            select old_customer_id
            from marts.customer_redirects
            where
                tenant_id = %s
                and customer_id = any(%s)
            """,
            (tenant_id, list(customer_ids)),
        )
        customer_ids |= {old for (old,) in cursor.fetchall()}
    return _Person(frozenset(customer_ids), frozenset(identifiers | named))


def _remember(
    cursor: psycopg.Cursor[Any], receipt: Receipt, request: Request, person: _Person
) -> None:
    cursor.execute(
        f"""
        insert into ops.erased_identifiers (tenant_id, identifier_hash, erasure_id, before)
        select %(tenant_id)s, {_hash("shown.kind", "shown.identifier")}, %(erasure_id)s, %(before)s
        from unnest(cast(%(kinds)s as text[]), cast(%(identifiers)s as text[]))
            as shown (kind, identifier)
        """,
        {
            "tenant_id": request.tenant_id,
            "erasure_id": receipt.erasure_id,
            "before": request.requested_at,
            "kinds": [kind for kind, _ in person.identifiers],
            "identifiers": [value for _, value in person.identifiers],
        },
    )


def _keep_apart(cursor: psycopg.Cursor[Any], request: Request, person: _Person) -> None:
    """Let what the person shared with many stay over its cap: it is not one customer's."""
    if not _exists(cursor, "intermediate.int_identity__capped"):
        return
    cursor.execute(
        """
        insert into ops.shared_identifiers (tenant_id, identifier_key, cap, strong_count)
        select distinct capped.tenant_id, capped.identifier_key, capped.cap, capped.strong_count
        from intermediate.int_identity__identifiers as own
        inner join intermediate.int_identity__identifiers as others
            on
                own.tenant_id = others.tenant_id
                and own.source = others.source
                and own.sighting_id = others.sighting_id
        inner join intermediate.int_identity__capped as capped
            on
                others.tenant_id = capped.tenant_id
                and others.identifier_key = capped.identifier_key
        where
            own.tenant_id = %s
            and own.identifier_key = any(%s)
        on conflict do nothing
        """,
        (request.tenant_id, person.keys),
    )


def _scrub(
    cursor: psycopg.Cursor[Any], contract: Contract, tenant_id: str, load_id: int | None
) -> int:
    """Delete or empty the rows that show somebody forgotten, of one load or of all; how many."""
    rows = 0
    values = {"tenant_id": tenant_id, "load_id": load_id}
    if not _exists(cursor, contract.table):
        return rows
    for rule in contract.erasure:
        cursor.execute("drop table if exists pg_temp.forgotten")
        cursor.execute(_find(contract, rule, whole=load_id is None), values)
        if not cursor.rowcount:
            continue
        goes = "true" if not rule.becomes else f"not coalesce({rule.kept or 'true'}, false)"
        cursor.execute(
            f"""
            delete from {contract.table} as stored
            using pg_temp.forgotten
            where
                stored.ctid = forgotten.place
                and {goes}
            """
        )
        rows += cursor.rowcount
        if not rule.becomes:
            continue
        # ctids that a delete has freed are not used again before the transaction ends
        changes = ", ".join(
            f"{quote(name)} = {_pseudonymous(value)}" for name, value in rule.becomes.items()
        )
        cursor.execute(
            f"""
            update {contract.table} as stored
            set {changes}
            from pg_temp.forgotten
            where stored.ctid = forgotten.place
            """
        )
        rows += cursor.rowcount
        if "pseudonymous_phone" in "".join(rule.becomes.values()):
            cursor.execute(
                """
                insert into raw.phone_numbers (tenant_id, phone, region, e164)
                select distinct
                    %(tenant_id)s, forgotten.pseudonym, phone_numbers.region, forgotten.pseudonym
                from pg_temp.forgotten
                cross join (
                    select max(region) as region
                    from raw.phone_numbers
                    where tenant_id = %(tenant_id)s
                ) as phone_numbers
                where phone_numbers.region is not null
                on conflict do nothing
                """,
                values,
            )
    return rows


def _find(contract: Contract, rule: Erasure, *, whole: bool) -> str:
    shown = ",\n".join(
        f"('{kind}', {_normalised(f'stored.{expression}', kind, 'stored')})"
        for expression, kind in rule.shows.items()
    )
    before = f"stored.{quote(rule.before)}"
    return f"""
        create temp table forgotten on commit drop as
        select
            stored.ctid as place,
            -- of somebody who was forgotten twice: the one that the row was given first
            (array_agg(
                erasures.pseudonym order by erasures.decided_at, erasures.pseudonym collate "C"
            ))[1] as pseudonym
        from {contract.table} as stored
        cross join lateral (
            values {shown}
        ) as shown (kind, identifier)
        inner join ops.erased_identifiers
            on
                erased_identifiers.tenant_id = stored.tenant_id
                and erased_identifiers.identifier_hash = {_hash("shown.kind", "shown.identifier")}
                and coalesce({before} <= erased_identifiers.before, true)
        inner join ops.erasures on erased_identifiers.erasure_id = erasures.erasure_id
        where
            stored.tenant_id = %(tenant_id)s
            and shown.identifier is not null
            {"" if whole else "and stored._load_id = %(load_id)s"}
        group by stored.ctid
    """


def _normalised(value: str, kind: str, table: str) -> str:
    """SQL for an identifier as identity compares it, from the value as written."""
    if kind == "email":
        trimmed = f"btrim({value}, e' \\t\\r\\n\\u00a0')"
        return f"normalize(lower(nullif({trimmed}, '')), nfc)"
    if kind == "phone":
        return f"""(
            select phone_numbers.e164
            from raw.phone_numbers
            where
                phone_numbers.tenant_id = {table}.tenant_id
                and phone_numbers.phone = {value}
        )"""
    return f"nullif(btrim({value}), '')"


def _hash(kind: str, value: str) -> str:
    key = "(select key from ops.erasure_key)"
    return f"encode(sha256(convert_to({key} || {kind} || ':' || {value}, 'UTF8')), 'hex')"


def _pseudonymous(value: str) -> str:
    email = f"(forgotten.pseudonym || '@{PSEUDONYM_DOMAIN}')"
    return value.replace("pseudonymous_email", email).replace(
        "pseudonymous_phone", "forgotten.pseudonym"
    )


def _forget_texts(cursor: psycopg.Cursor[Any], tenant_id: str, person: _Person) -> int:
    """Empty what was kept as text: rejected rows, and the errors of builds."""
    addresses = [value for kind, value in person.identifiers if kind in ADDRESS_TYPES]
    cursor.execute(
        """
        update raw.rejected_rows
        set content = %(text)s, reasons = array[%(text)s]
        where
            tenant_id = %(tenant_id)s
            and (
                exists (
                    select 1
                    from unnest(cast(%(addresses)s as text[])) as addresses (address)
                    where strpos(lower(rejected_rows.content), addresses.address) > 0
                )
                or exists (
                    -- a phone in whatever way it is written: with its country, or without
                    select 1
                    from unnest(cast(%(phones)s as text[])) as phones (ending)
                    where
                        strpos(
                            translate(rejected_rows.content, %(separators)s, ''), phones.ending
                        ) > 0
                )
            )
        """,
        {
            "text": FORGOTTEN_TEXT,
            "tenant_id": tenant_id,
            "addresses": addresses,
            "phones": [
                value[-PHONE_ENDING:] for kind, value in person.identifiers if kind == "phone"
            ],
            "separators": PHONE_SEPARATORS,
        },
    )
    rows = cursor.rowcount
    for address in addresses:
        cursor.execute(
            """
            update ops.builds
            set
                error = replace(error, %(address)s, %(text)s),
                details = replace(details::text, %(address)s, %(text)s)::jsonb
            where
                strpos(coalesce(error, ''), %(address)s) > 0
                or strpos(details::text, %(address)s) > 0
            """,
            {"address": address, "text": FORGOTTEN_TEXT},
        )
    return rows


def _forget_phones(
    cursor: psycopg.Cursor[Any],
    contracts: Mapping[str, Contract],
    tenant_id: str,
    person: _Person,
) -> int:
    """Delete the spellings of the person's phones that no row shows any more."""
    written = " union all ".join(
        f"select {expression} as phone from {contract.table} where tenant_id = %(tenant_id)s"
        for contract in contracts.values()
        if _exists(cursor, contract.table)
        for expression in contract.phones
    )
    cursor.execute(
        f"""
        with own_numbers as (
            select phone
            from raw.phone_numbers
            where
                tenant_id = %(tenant_id)s
                and e164 = any(%(phones)s)
        ),

        still_shown as (
            select own_numbers.phone
            from own_numbers
            inner join ({written}) as written on own_numbers.phone = written.phone
        )

        delete from raw.phone_numbers
        where
            tenant_id = %(tenant_id)s
            and phone in (select phone from own_numbers)
            and phone not in (select phone from still_shown)
        """,
        {
            "tenant_id": tenant_id,
            "phones": [value for kind, value in person.identifiers if kind == "phone"],
        },
    )
    return cursor.rowcount


_MEANT_FOR_PERSON = """
    tenant_id = %(tenant_id)s
    and (
        customer_id = any(%(customer_ids)s)
        or (
            -- sent to an address of somebody who was no customer then, such as with a gift
            customer_id is null
            and exists (
                select 1
                from unnest(cast(%(addresses)s as text[])) as addresses (address)
                where strpos(lower(payload::text), addresses.address) > 0
            )
        )
    )
"""


def _queue_deletions(cursor: psycopg.Cursor[Any], request: Request, person: _Person) -> None:
    """Let every destination that has heard of the person forget them too, by each address."""
    addresses = sorted(one for one in person.identifiers if one[0] in ADDRESS_TYPES)
    cursor.execute(
        f"""
        insert into outbox.profile_deletions (
            message_id, tenant_id, destination, payload, requested_at
        )
        select
            md5(concat_ws(
                ':',
                length(%(tenant_id)s::text),
                %(tenant_id)s::text,
                length(heard.destination),
                heard.destination,
                addresses.kind,
                addresses.address
            )),
            %(tenant_id)s,
            heard.destination,
            jsonb_build_object(addresses.kind, addresses.address),
            %(requested_at)s
        from (
            select distinct destination
            from outbox.deliveries
            where
                {_MEANT_FOR_PERSON}
                and state in ('accepted', 'unknown', 'intended')

            union

            select 'klaviyo'
            where %(has_profile)s
        ) as heard
        cross join unnest(cast(%(kinds)s as text[]), cast(%(addresses)s as text[]))
            as addresses (kind, address)
        where heard.destination = any(%(able)s)
        on conflict do nothing
        """,
        {
            "tenant_id": request.tenant_id,
            "customer_ids": list(person.customer_ids),
            "requested_at": request.requested_at,
            "able": [name for name, one in DESTINATIONS.items() if one.knows_people],
            "has_profile": any(kind == "klaviyo_profile_id" for kind, _ in person.identifiers),
            "kinds": [kind for kind, _ in addresses],
            "addresses": [address for _, address in addresses],
        },
    )


def _forget_customer(
    cursor: psycopg.Cursor[Any], request: Request, person: _Person, pseudonym: str
) -> Counter[str]:
    """Let what is kept between builds name the pseudonym, and end everything that goes on."""
    rows = Counter[str]()
    values = {
        "tenant_id": request.tenant_id,
        "customer_ids": list(person.customer_ids),
        "keys": person.keys,
        "addresses": [value for kind, value in person.identifiers if kind in ADDRESS_TYPES],
        "new_id": _minted_id(cursor, request.tenant_id, f"{pseudonym}@{PSEUDONYM_DOMAIN}"),
        "requested_at": request.requested_at,
    }
    statements = {
        "outbox.deliveries": f"""
            update outbox.deliveries
            set
                customer_id = %(new_id)s,
                payload = '{{}}',
                state = case when state in ('accepted', 'rejected') then state else 'skipped' end,
                reason = case when state in ('accepted', 'rejected') then reason else 'erased' end
            where {_MEANT_FOR_PERSON}
        """,
        "outbox.redemption_decisions": """
            update outbox.redemption_decisions
            set customer_id = %(new_id)s
            where tenant_id = %(tenant_id)s and customer_id = any(%(customer_ids)s)
        """,
        "outbox.campaign_enrolments": """
            update outbox.campaign_enrolments
            set customer_id = %(new_id)s
            where tenant_id = %(tenant_id)s and customer_id = any(%(customer_ids)s)
        """,
        # a stay that a build has begun after the request should not have been
        "marts.segment_memberships": """
            with gone as (
                delete from marts.segment_memberships
                where
                    tenant_id = %(tenant_id)s
                    and customer_id = any(%(customer_ids)s)
                    and removed_at is null
                    and added_at >= %(requested_at)s
            )

            update marts.segment_memberships
            set
                customer_id = %(new_id)s,
                removed_at = coalesce(removed_at, %(requested_at)s),
                exit_reason = case when removed_at is null then 'erased' else exit_reason end
            where
                tenant_id = %(tenant_id)s
                and customer_id = any(%(customer_ids)s)
                and (removed_at is not null or added_at < %(requested_at)s)
        """,
        "marts.customer_redirects": """
            delete from marts.customer_redirects
            where
                tenant_id = %(tenant_id)s
                and (
                    customer_id = any(%(customer_ids)s)
                    or old_customer_id = any(%(customer_ids)s)
                )
        """,
        "marts.customer_splits": """
            delete from marts.customer_splits
            where
                tenant_id = %(tenant_id)s
                and (
                    customer_id = any(%(customer_ids)s)
                    or split_from_customer_id = any(%(customer_ids)s)
                )
        """,
        # what the next build compares itself with
        "intermediate.int_identity__people": """
            with seen_beside as (
                select distinct others.identifier_key
                from intermediate.int_identity__identifiers as own
                inner join intermediate.int_identity__identifiers as others
                    on
                        own.tenant_id = others.tenant_id
                        and own.source = others.source
                        and own.sighting_id = others.sighting_id
                where
                    own.tenant_id = %(tenant_id)s
                    and own.identifier_key = any(%(keys)s)
            )

            delete from intermediate.int_identity__people as people
            where
                people.tenant_id = %(tenant_id)s
                and (
                    people.customer_id = any(%(customer_ids)s)
                    or (
                        people.customer_id is null
                        and people.identifier_key in (select identifier_key from seen_beside)
                    )
                )
        """,
        "intermediate.int_identity__identifiers": """
            delete from intermediate.int_identity__identifiers as others
            using intermediate.int_identity__identifiers as own
            where
                own.tenant_id = %(tenant_id)s
                and own.identifier_key = any(%(keys)s)
                and own.tenant_id = others.tenant_id
                and own.source = others.source
                and own.sighting_id = others.sighting_id
        """,
        # without it the next build derives everything anew
        "intermediate.int_identity__derivation": """
            delete from intermediate.int_identity__derivation
        """,
    }
    # nobody wonders where these rows went
    cursor.execute("set local journey.replaces = 'on'")
    for table, statement in statements.items():
        if _exists(cursor, table):
            cursor.execute(statement, values)
            if not table.startswith("intermediate."):
                rows[table] += cursor.rowcount
    return rows


def _minted_id(cursor: psycopg.Cursor[Any], tenant_id: str, email: str) -> str:
    """The id that the models mint from an e-mail (the macro `hash_id`)."""
    parts = (tenant_id, "email", email)
    cursor.execute("select md5(%s)", ["".join(f"{len(part)}:{part}" for part in parts)])
    return str((cursor.fetchone() or ("",))[0])


def _exists(cursor: psycopg.Cursor[Any], table: str) -> bool:
    cursor.execute("select to_regclass(%s) is not null", [table])
    return bool((cursor.fetchone() or (False,))[0])


def _cursor(connection: sqlalchemy.Connection) -> psycopg.Cursor[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.cursor()
