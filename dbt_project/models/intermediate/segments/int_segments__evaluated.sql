{{ config(unique_key=['tenant_id', 'segment_id', 'customer_id']) }}

-- A criterion left empty does not filter; every listed one must hold. A missing trait fails.
with definitions as (
    select * from {{ ref('int_segments__definitions') }}
),

customer_traits as (
    select * from {{ ref('int_segments__customer_traits') }}
),

static_stays as (
    select * from {{ ref('int_segments__static_stays') }}
),

customers_meeting_criteria as (
    select
        customer_traits.tenant_id,
        definitions.segment_id,
        customer_traits.customer_id,
        definitions.definition_hash,
        definitions.reentry_policy,
        definitions.reentry_cooldown_days
    from definitions
    inner join customer_traits on definitions.tenant_id = customer_traits.tenant_id
    where
        definitions.is_active
        and definitions.is_dynamic
        and (
            definitions.stages is null
            or {{ in_list('customer_traits.stage', 'definitions.stages') }}
        )
        and (
            definitions.collections is null
            or {{ in_list('customer_traits.primary_collection', 'definitions.collections') }}
        )
        and (
            definitions.lead_bands is null
            or {{ in_list('customer_traits.lead_band', 'definitions.lead_bands') }}
        )
        and (
            definitions.min_lifetime_value is null
            or customer_traits.lifetime_value >= definitions.min_lifetime_value
        )
        and (
            definitions.max_lifetime_value is null
            or customer_traits.lifetime_value <= definitions.max_lifetime_value
        )
        and (
            definitions.min_orders is null
            or customer_traits.total_orders >= definitions.min_orders
        )
        and (
            definitions.max_orders is null
            or customer_traits.total_orders <= definitions.max_orders
        )
        and (
            definitions.min_days_since_purchase is null
            or (
                customer_traits.days_since_purchase is not null
                and customer_traits.days_since_purchase >= definitions.min_days_since_purchase
            )
        )
        and (
            definitions.max_days_since_purchase is null
            or (
                customer_traits.days_since_purchase is not null
                and customer_traits.days_since_purchase <= definitions.max_days_since_purchase
            )
        )
        and (
            definitions.email_subscribed is null
            or customer_traits.is_email_subscribed = definitions.email_subscribed
        )
),

-- Re-entry policies bind the criteria; a feed that names a person again means it.
final as (
    select
        tenant_id,
        segment_id,
        customer_id,
        {{ as_of() }} as qualifies_since,
        definition_hash,
        reentry_policy,
        reentry_cooldown_days
    from customers_meeting_criteria
    union all
    select
        tenant_id,
        segment_id,
        customer_id,
        added_at as qualifies_since,
        definition_hash,
        'every' as reentry_policy,
        cast(null as integer) as reentry_cooldown_days
    from static_stays
    where removed_at is null
)

select * from final
