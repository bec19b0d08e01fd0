"""Whom an identifier means: an e-mail or phone in any spelling, an id of a source or of ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from orchestration.ingest.phones import e164
from orchestration.ingest.tenants import Tenant, read_tenants
from orchestration.settings import SEEDS_DIR
from orchestration.warehouse.errors import JourneyError

Row = dict[str, Any]


class UnknownPerson(JourneyError):
    """Nobody, or more than one person, is known by the identifier given."""


class NothingBuilt(JourneyError):
    """The marts are not there yet."""


@dataclass(frozen=True)
class Found:
    """Somebody whom an identifier means."""

    tenant_id: str
    customer_id: str
    identifiers: tuple[str, ...] = ()
    """Those that match, as type:value; none when a customer_id was given."""
    old_customer_id: str | None = None
    """The id that was given, when it has been taken over."""


def require_marts(connection: Connection) -> None:
    """Do nothing when there are marts.

    Raises:
        NothingBuilt: there are none yet.
    """
    if connection.execute(text("select to_regclass('marts.customers')")).scalar_one() is None:
        raise NothingBuilt("There are no marts yet. Make them with: journey build")


def known_tenants(tenant: str | None = None) -> dict[str, Tenant]:
    """The tenant asked for, or all of them.

    Raises:
        UnknownPerson: there is no such tenant.
    """
    tenants = read_tenants(SEEDS_DIR / "tenants.csv")
    if tenant is None:
        return tenants
    if tenant not in tenants:
        raise UnknownPerson(f"There is no tenant {tenant}; there are {', '.join(sorted(tenants))}")
    return {tenant: tenants[tenant]}


def find_people(
    connection: Connection, identifier: str, tenants: Mapping[str, Tenant]
) -> list[Found]:
    """Everybody whom the identifier means. An old customer_id means who has taken it over."""
    wanted = spellings(identifier, tenants.values())
    found = read_rows(
        connection,
        """
        select
            tenant_id,
            customer_id,
            array_agg(identifier_type || ':' || identifier order by identifier_type, identifier)
                as identifiers,
            cast(null as text) as old_customer_id
        from marts.customer_identities
        where
            tenant_id = any(:tenants)
            and (
                identifier = any(:spellings)
                or identifier_type || ':' || identifier = any(:spellings)
            )
        group by tenant_id, customer_id

        union all

        select tenant_id, customer_id, cast(array[] as text[]), null
        from marts.customers
        where tenant_id = any(:tenants) and customer_id = any(:spellings)

        union all

        select tenant_id, customer_id, cast(array[] as text[]), redirects.old_customer_id
        from marts.customer_redirects as redirects
        inner join marts.customers using (tenant_id, customer_id)
        where
            tenant_id = any(:tenants)
            and redirects.old_customer_id = any(:spellings)
            -- in a build of an instant before the merge, both live
            and not exists (
                select 1
                from marts.customers as living
                where
                    living.tenant_id = redirects.tenant_id
                    and living.customer_id = redirects.old_customer_id
            )

        order by tenant_id, customer_id
        """,
        tenants=list(tenants),
        spellings=wanted,
    )
    return [Found(**row | {"identifiers": tuple(row["identifiers"])}) for row in found]


def require_one(found: Sequence[Found], identifier: str, tenant: str | None) -> Found:
    """The only one found.

    Raises:
        UnknownPerson: there is nobody, or more than one; the message says what to give instead.
    """
    if not found:
        raise UnknownPerson(
            f"Nobody is known by {identifier}"
            + (f" in tenant {tenant}" if tenant else "")
            + ". Give an e-mail, a phone, an id of any source, or a customer_id."
        )
    if len(found) > 1:
        places = ", ".join(f"{one.tenant_id}: {one.customer_id}" for one in found)
        raise UnknownPerson(
            f"{len(found)} people are known by {identifier} ({places}). Name the tenant, or "
            "give the customer_id."
        )
    return found[0]


def spellings(identifier: str, tenants: Iterable[Tenant]) -> list[str]:
    """The text as given, and as an e-mail or, without letters, as a phone would be normalised."""
    given = identifier.strip()
    spelled = {given, unicodedata.normalize("NFC", given.lower())}
    if not any(character.isalpha() for character in given):
        spelled |= {phone for one in tenants if (phone := e164(given, one.phone_region))}
    return sorted(spelled)


def read_rows(connection: Connection, query: str, **parameters: Any) -> list[Row]:
    """The rows of a query."""
    return [dict(row) for row in connection.execute(text(query), parameters).mappings()]
