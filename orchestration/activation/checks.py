"""What is asked of every message in the moment before it is sent, from the database as it is then.

A build is minutes or hours old when its messages leave. What was loaded since, or was dated after
its instant, has not been seen by any model: withdrawn consent, requests to be forgotten, orders.
It is read from raw here. Everything else is asked of the marts and the outbox.
"""

# ruff: noqa: S608
# Statements are put together from constants of this module only; values are parameters.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy
from sqlalchemy import text

from orchestration.activation.message import PURPOSES
from orchestration.ingest.errors import TenantsError
from orchestration.seeds.files import read_seed
from orchestration.seeds.rules import instant
from orchestration.warehouse.builds import Build

SKIPPED = (
    "expired",
    "erased",
    "already_sent_to_an_old_id",
    "never_added",
    "campaign_ended",
    "held_out",
    "purchased_since_enrolment",
    "email_not_subscribed",
    "email_suppressed",
    "no_longer_wanted",
)
"""Reasons for which a message is never sent."""
WAITING = ("campaign_paused", "not_enrolled", "campaign_limit", "frequency_cap")
"""Reasons for which it is not sent now; the next delivery asks again."""


@dataclass(frozen=True)
class Campaign:
    """What the seed says now about a campaign, and how many more of its messages this run sends."""

    campaign_id: str
    status: str
    """active, paused or ended."""
    remaining: int


@dataclass(frozen=True)
class TenantLimits:
    """A tenant's numbers about sending."""

    marketing_message_limit: int
    marketing_message_days: int
    backfill_after_days: int
    max_messages_per_run: int


def tenant_limits(connection: sqlalchemy.Connection, tenant_id: str) -> TenantLimits:
    """The numbers that the latest build has for the tenant."""
    names = TenantLimits.__dataclass_fields__
    statement = text(
        f"select {', '.join(names)} from intermediate.int_tenants__settings "
        "where tenant_id = :tenant_id"
    )
    row = connection.execute(statement, {"tenant_id": tenant_id}).mappings().one()
    return TenantLimits(**{name: int(row[name]) for name in names})


def read_campaigns(
    seeds: Path, tenant_id: str, now: datetime, sent: Mapping[str, int]
) -> list[Campaign]:
    """The tenant's campaigns as the seed file says now, not as the build read it.

    Args:
        seeds: the folder of the seeds.
        tenant_id: whose campaigns.
        now: the present.
        sent: how many messages of each campaign this run has sent.

    Raises:
        TenantsError: the file cannot be read; nothing is sent on a guess.
    """
    name = "winback_campaign_definitions"
    columns = (
        "tenant_id",
        "campaign_id",
        "status",
        "starts_at",
        "ends_at",
        "max_recipients_per_run",
    )
    seed = read_seed(seeds / f"{name}.csv", f"seeds/{name}.csv", columns, more_columns=True)
    if seed.findings:
        raise TenantsError("\n".join(map(str, sorted(seed.findings))))
    campaigns = []
    for row in seed.rows:
        if row["tenant_id"] != tenant_id:
            continue
        is_over = row["status"] == "completed" or (
            bool(row["ends_at"]) and instant(row["ends_at"]) <= now
        )
        has_begun = not row["starts_at"] or instant(row["starts_at"]) <= now
        is_active = row["status"] == "active" and has_begun
        status = "ended" if is_over else "active" if is_active else "paused"
        remaining = int(row["max_recipients_per_run"]) - sent.get(row["campaign_id"], 0)
        campaigns.append(Campaign(row["campaign_id"], status, remaining))
    return campaigns


def read_unseen(connection: sqlalchemy.Connection, build: Build, tenant_id: str) -> None:
    """Fill temporary tables with what no model of the build has seen; cheap when repeated."""
    for statement in _UNSEEN_TABLES:
        connection.exec_driver_sql(statement)
    values = {
        "tenant_id": tenant_id,
        "as_of": build.as_of,
        "covered": int(build.details.get("covers", {}).get("load_id", 0)),
    }
    for statement in (_UNSEEN_REFUSALS, _UNSEEN_PURCHASES, _ERASED):
        connection.execute(text(statement), values)


def held_out(connection: sqlalchemy.Connection, tenant_id: str) -> int:
    """How many people of the tenant's campaigns are held out."""
    statement = text(
        "select count(*) from outbox.campaign_enrolments "
        "where tenant_id = :tenant_id and is_held_out"
    )
    return int(connection.execute(statement, {"tenant_id": tenant_id}).scalar_one())


def loaded_so_far(connection: sqlalchemy.Connection) -> int:
    """A number that grows whenever a file is loaded."""
    statement = text("select coalesce(max(load_id), 0) from ops.loads")
    return int(connection.execute(statement).scalar_one())


def parameters(
    tenant_id: str, now: datetime, limits: TenantLimits, campaigns: Sequence[Campaign]
) -> dict[str, Any]:
    """The values that `verdicts` needs."""
    purposes = [
        {"destination": destination, "purpose": purpose, **asdict(declared)}
        for (destination, purpose), declared in PURPOSES.items()
    ]
    return {
        "tenant_id": tenant_id,
        "now": now,
        "purposes": orjson.dumps(purposes).decode(),
        "campaigns": orjson.dumps([asdict(campaign) for campaign in campaigns]).decode(),
        "marketing_message_limit": limits.marketing_message_limit,
        "marketing_message_days": limits.marketing_message_days,
        "backfill_after_days": limits.backfill_after_days,
    }


def verdicts(candidates: str) -> str:
    """CTEs that end with `judged`: each candidate with `reason`, null for those that may be sent.

    Args:
        candidates: a query for messages of one tenant, in the columns of the outbox.
    """
    return f"""
    candidates as (
        {candidates}
    ),

    purposes as (
        select destination, purpose, kind, subject, is_news, needs_enrolment
        from jsonb_to_recordset(cast(:purposes as jsonb)) as declared (
            destination text,
            purpose text,
            kind text,
            subject text[],
            is_news boolean,
            needs_enrolment boolean
        )
    ),

    campaigns as (
        select campaign_id, status, remaining
        from jsonb_to_recordset(cast(:campaigns as jsonb)) as declared (
            campaign_id text, status text, remaining bigint
        )
    ),

    messages as (
        select
            candidates.*,
            coalesce(redirects.customer_id, candidates.customer_id) as present_customer_id,
            coalesce(
                candidates.payload #>> '{{data,attributes,profile,data,attributes,email}}',
                candidates.payload #>> '{{profile,email}}'
            ) as email,
            candidates.payload #> '{{data,attributes,properties}}' as properties,
            candidates.payload #>> '{{data,attributes,properties,campaign_id}}' as campaign_id,
            purposes.kind,
            purposes.subject,
            purposes.needs_enrolment,
            purposes.is_news
            and candidates.not_before
            < :now - make_interval(days => :backfill_after_days) as is_old_news
        from candidates
        inner join purposes
            on
                candidates.destination = purposes.destination
                and candidates.purpose = purposes.purpose
        left join marts.customer_redirects as redirects
            on
                candidates.tenant_id = redirects.tenant_id
                and candidates.customer_id = redirects.old_customer_id
    ),

    people as (
        select distinct present_customer_id
        from messages
    ),

    ids as (
        select
            present_customer_id,
            present_customer_id as customer_id
        from people

        union all

        select
            people.present_customer_id,
            redirects.old_customer_id as customer_id
        from people
        inner join marts.customer_redirects as redirects
            on
                redirects.tenant_id = :tenant_id
                and people.present_customer_id = redirects.customer_id
    ),

    -- what may have reached these people, under any of their ids
    sent as (
        select
            ids.present_customer_id,
            deliveries.message_id,
            deliveries.destination,
            deliveries.purpose,
            deliveries.operation,
            deliveries.payload ->> 'list_id' as list_id,
            deliveries.is_backfill,
            deliveries.payload #> '{{data,attributes,properties}}' as properties,
            coalesce(deliveries.sent_at, deliveries.updated_at) as sent_at
        from ids
        inner join outbox.deliveries as deliveries
            on ids.customer_id = deliveries.customer_id
        where
            deliveries.tenant_id = :tenant_id
            and deliveries.state in ('accepted', 'unknown', 'intended')
    ),

    recently_sent as (
        select
            sent.present_customer_id,
            count(*) as message_count
        from sent
        inner join purposes
            on
                sent.destination = purposes.destination
                and sent.purpose = purposes.purpose
        where
            purposes.kind = 'marketing'
            and not sent.is_backfill
            and sent.sent_at > :now - make_interval(days => :marketing_message_days)
        group by sent.present_customer_id
    ),

    enrolments as (
        select
            enrolments.campaign_id,
            ids.present_customer_id,
            bool_or(enrolments.is_held_out) as is_held_out,
            min(enrolments.enrolled_at) as enrolled_at
        from ids
        inner join outbox.campaign_enrolments as enrolments
            on ids.customer_id = enrolments.customer_id
        where enrolments.tenant_id = :tenant_id
        group by enrolments.campaign_id, ids.present_customer_id
    ),

    erased_people as (
        select distinct people.present_customer_id
        from people
        inner join marts.customer_identities as identities
            on
                identities.tenant_id = :tenant_id
                and people.present_customer_id = identities.customer_id
        inner join pg_temp.erased_identifiers as erased
            on
                identities.identifier_type = erased.identifier_type
                and identities.identifier = erased.identifier
    ),

    last_orders as (
        select
            people.present_customer_id,
            max(orders.ordered_at) as ordered_at
        from people
        inner join marts.orders as orders
            on
                orders.tenant_id = :tenant_id
                and people.present_customer_id = orders.customer_id
        where
            orders.is_counted
            and exists (select 1 from messages where needs_enrolment)
        group by people.present_customer_id
    ),

    last_unseen_purchases as (
        select
            people.present_customer_id,
            max(purchases.purchased_at) as ordered_at
        from people
        inner join marts.customer_identities as identities
            on
                identities.tenant_id = :tenant_id
                and people.present_customer_id = identities.customer_id
        inner join pg_temp.unseen_purchases as purchases
            on
                identities.identifier_type = purchases.identifier_type
                and identities.identifier = purchases.identifier
        group by people.present_customer_id
    ),

    asked as (
        select
            messages.*,
            coalesce(recently_sent.message_count, 0) as recent_messages,
            campaigns.remaining,
            case
                when messages.expires_at <= :now then 'expired'
                when
                    erased_people.present_customer_id is not null
                    or exists (
                        select 1
                        from pg_temp.erased_identifiers as erased
                        where
                            erased.identifier_type = 'email'
                            and messages.email = erased.identifier
                    )
                    then 'erased'
                when
                    cardinality(messages.subject) > 0
                    and exists (
                        select 1
                        from sent
                        where
                            messages.present_customer_id = sent.present_customer_id
                            and messages.destination = sent.destination
                            and messages.purpose = sent.purpose
                            and messages.message_id <> sent.message_id
                            and sent.properties @> (
                                select jsonb_object_agg(name, messages.properties -> name)
                                from unnest(messages.subject) as name
                            )
                    )
                    then 'already_sent_to_an_old_id'
                when
                    messages.operation = 'remove_from_list'
                    and not exists (
                        select 1
                        from sent
                        where
                            messages.present_customer_id = sent.present_customer_id
                            and sent.operation = 'add_to_list'
                            and messages.payload ->> 'list_id' = sent.list_id
                    )
                    then 'never_added'
                when messages.needs_enrolment and coalesce(campaigns.status, 'ended') = 'ended'
                    then 'campaign_ended'
                when messages.needs_enrolment and enrolments.is_held_out then 'held_out'
                when
                    messages.needs_enrolment
                    and (
                        last_orders.ordered_at > enrolments.enrolled_at
                        or last_unseen_purchases.ordered_at > enrolments.enrolled_at
                    )
                    then 'purchased_since_enrolment'
                when
                    messages.kind = 'marketing'
                    and (
                        not coalesce(customers.email_subscribed, false)
                        -- consent is given for an address: nobody knows of this one any more
                        or messages.email is distinct from customers.email
                        or exists (
                            select 1
                            from pg_temp.unseen_refusals as refusals
                            where
                                refusals.reason = 'email_not_subscribed'
                                and messages.email = refusals.address
                        )
                    )
                    then 'email_not_subscribed'
                when
                    messages.kind = 'marketing'
                    and (
                        customers.is_email_suppressed
                        or exists (
                            select 1
                            from pg_temp.unseen_refusals as refusals
                            where
                                refusals.reason = 'email_suppressed'
                                and messages.email = refusals.address
                        )
                    )
                    then 'email_suppressed'
                when messages.needs_enrolment and campaigns.status = 'paused'
                    then 'campaign_paused'
                when messages.needs_enrolment and enrolments.enrolled_at is null
                    then 'not_enrolled'
            end as reason
        from messages
        left join marts.customers as customers
            on
                messages.tenant_id = customers.tenant_id
                and messages.present_customer_id = customers.customer_id
        left join recently_sent
            on messages.present_customer_id = recently_sent.present_customer_id
        left join campaigns on messages.campaign_id = campaigns.campaign_id
        left join enrolments
            on
                messages.campaign_id = enrolments.campaign_id
                and messages.present_customer_id = enrolments.present_customer_id
        left join erased_people
            on messages.present_customer_id = erased_people.present_customer_id
        left join last_orders on messages.present_customer_id = last_orders.present_customer_id
        left join last_unseen_purchases
            on messages.present_customer_id = last_unseen_purchases.present_customer_id
    ),

    within_campaigns as (
        select
            asked.*,
            asked.reason is null
            and asked.needs_enrolment
            and row_number() over (
                partition by asked.campaign_id, asked.reason order by asked.message_id
            ) > asked.remaining as is_beyond_the_campaign
        from asked
    ),

    numbered as (
        select
            within_campaigns.*,
            row_number() over (
                partition by
                    present_customer_id,
                    reason,
                    kind,
                    is_old_news,
                    is_beyond_the_campaign
                order by message_id
            ) as place
        from within_campaigns
    ),

    judged as (
        select
            numbered.*,
            case
                when reason is not null then reason
                when is_beyond_the_campaign then 'campaign_limit'
                when
                    kind = 'marketing'
                    and not is_old_news
                    and recent_messages + place > :marketing_message_limit
                    then 'frequency_cap'
            end as verdict
        from numbered
    )
    """


def _email(column: str) -> str:
    """The e-mail as the models normalise it."""
    return rf"normalize(lower(btrim({column}, e' \t\r\n\u00a0')), nfc)"


_UNSEEN_TABLES = (
    """
    create temporary table if not exists unseen_refusals (address text, reason text)
    """,
    """
    create temporary table if not exists unseen_purchases (
        identifier_type text, identifier text, purchased_at timestamptz
    )
    """,
    """
    create temporary table if not exists erased_identifiers (identifier_type text, identifier text)
    """,
    "truncate unseen_refusals, unseen_purchases, erased_identifiers",
)
# the latest word of each source, as int_customers__consent takes it
_UNSEEN_REFUSALS = f"""
    with statements as (
        select
            'email' as channel,
            {_email("email")} as address,
            'consent_changes' as source,
            subscribed as is_subscribed,
            changed_at as stated_at
        from raw.consent_changes
        where
            tenant_id = :tenant_id
            and _is_current
            and channel = 'email'
            and (_load_id > :covered or changed_at > :as_of)

        union all

        select 'sms', phone_numbers.e164, 'consent_changes', changes.subscribed, changes.changed_at
        from raw.consent_changes as changes
        inner join raw.phone_numbers as phone_numbers
            on
                changes.tenant_id = phone_numbers.tenant_id
                and changes.phone = phone_numbers.phone
        where
            changes.tenant_id = :tenant_id
            and changes._is_current
            and changes.channel = 'sms'
            and (changes._load_id > :covered or changes.changed_at > :as_of)

        union all

        select 'email', {_email("email")}, 'consent_changes', false, occurred_at
        from raw.touchpoints
        where
            tenant_id = :tenant_id
            and _is_current
            and type = 'email_unsubscribe'
            and (_load_id > :covered or occurred_at > :as_of)

        union all

        select
            'email',
            {_email("email")},
            'klaviyo_profiles',
            email_consent = 'subscribed',
            coalesce(email_consent_at, updated)
        from raw.klaviyo_profiles
        where
            tenant_id = :tenant_id
            and _is_current
            and email_consent is not null
            and (_load_id > :covered or created > :as_of or email_consent_at > :as_of)

        union all

        select
            'sms',
            phone_numbers.e164,
            'klaviyo_profiles',
            profiles.sms_consent = 'subscribed',
            coalesce(profiles.sms_consent_at, profiles.updated)
        from raw.klaviyo_profiles as profiles
        inner join raw.phone_numbers as phone_numbers
            on
                profiles.tenant_id = phone_numbers.tenant_id
                and profiles.phone_number = phone_numbers.phone
        where
            profiles.tenant_id = :tenant_id
            and profiles._is_current
            and profiles.sms_consent is not null
            and (
                profiles._load_id > :covered
                or profiles.created > :as_of
                or profiles.sms_consent_at > :as_of
            )
    ),

    ranked as (
        select
            channel,
            address,
            is_subscribed,
            row_number() over (
                partition by channel, address, source order by stated_at desc, is_subscribed
            ) as recency
        from statements
    )

    insert into pg_temp.unseen_refusals (address, reason)
    select address, channel || '_not_subscribed'
    from ranked
    where recency = 1 and not is_subscribed and address is not null

    union

    select {_email("email")}, 'email_suppressed'
    from raw.klaviyo_profiles
    where
        tenant_id = :tenant_id
        and _is_current
        and email_suppressed
        and email is not null
        and (_load_id > :covered or created > :as_of)
"""
# what failed or was taken back is no purchase; what has yet to be paid is one: the person is back
_UNSEEN_PURCHASES = f"""
    with purchases as (
        select
            email,
            phone,
            customer ->> 'id' as shopify_customer_id,
            created_at as purchased_at
        from raw.shopify_orders
        where
            tenant_id = :tenant_id
            and _is_current
            and not coalesce(test, false)
            and cancelled_at is null
            and coalesce(financial_status, '') not in ('voided', 'expired', 'refunded')
            and (_load_id > :covered or created_at > :as_of)

        union all

        select customer ->> 'email', customer ->> 'phone', null, created_at
        from raw.shopify_orders
        where
            tenant_id = :tenant_id
            and _is_current
            and not coalesce(test, false)
            and cancelled_at is null
            and coalesce(financial_status, '') not in ('voided', 'expired', 'refunded')
            and (_load_id > :covered or created_at > :as_of)

        union all

        select email, phone_number, null, created_at
        from raw.shop_orders
        where
            tenant_id = :tenant_id
            and _is_current
            and coalesce(status, '') not in ('cancelled', 'failed', 'refunded')
            and (_load_id > :covered or created_at > :as_of)

        union all

        select email, null, null, created
        from raw.eventbrite_orders
        where
            tenant_id = :tenant_id
            and _is_current
            and coalesce(status, '') not in ('cancelled', 'deleted', 'abandoned', 'refunded')
            and (_load_id > :covered or created > :as_of)

        union all

        select email, mobile, null, "createdAt"
        from raw.humanitix_orders
        where
            tenant_id = :tenant_id
            and _is_current
            and not coalesce("isTest", false)
            and coalesce(status, '') not in ('cancelled', 'failed')
            and coalesce("financialStatus", '') <> 'refunded'
            and (_load_id > :covered or "createdAt" > :as_of)

        union all

        select email, phone, shopify_customer_id, occurred_at
        from raw.touchpoints
        where
            tenant_id = :tenant_id
            and _is_current
            and type = 'purchase'
            and (_load_id > :covered or occurred_at > :as_of)
    )

    insert into pg_temp.unseen_purchases (identifier_type, identifier, purchased_at)
    select 'email', {_email("email")}, max(purchased_at)
    from purchases
    where email is not null
    group by 2

    union all

    select 'shopify_customer_id', shopify_customer_id, max(purchased_at)
    from purchases
    where shopify_customer_id is not null
    group by 2

    union all

    select 'phone', phone_numbers.e164, max(purchases.purchased_at)
    from purchases
    inner join raw.phone_numbers as phone_numbers on purchases.phone = phone_numbers.phone
    where phone_numbers.tenant_id = :tenant_id and phone_numbers.e164 is not null
    group by 2
"""
_ERASED = f"""
    insert into pg_temp.erased_identifiers (identifier_type, identifier)
    select 'email', {_email("email")}
    from raw.erasure_requests
    where tenant_id = :tenant_id and _is_current and email is not null

    union

    select 'phone', phone_numbers.e164
    from raw.erasure_requests as requests
    inner join raw.phone_numbers as phone_numbers
        on
            requests.tenant_id = phone_numbers.tenant_id
            and requests.phone = phone_numbers.phone
    where
        requests.tenant_id = :tenant_id
        and requests._is_current
        and phone_numbers.e164 is not null
"""
