{{ config(unique_key=['tenant_id', 'segment_id']) }}

with definitions as (
    select * from {{ ref('int_segments__definitions') }}
),

segment_memberships as (
    select * from {{ ref('segment_memberships') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

members_per_segment as (
    select
        tenant_id,
        segment_id,
        count(*) as customer_count
    from segment_memberships
    where removed_at is null
    group by tenant_id, segment_id
),

final as (
    select
        definitions.tenant_id,
        definitions.segment_id,
        definitions.segment_name,
        definitions.description,
        definitions.stages,
        definitions.collections,
        cast(definitions.min_lifetime_value as numeric(14, 2)) as min_lifetime_value,
        cast(definitions.max_lifetime_value as numeric(14, 2)) as max_lifetime_value,
        tenant_settings.currency,
        definitions.min_orders,
        definitions.max_orders,
        definitions.min_days_since_purchase,
        definitions.max_days_since_purchase,
        definitions.lead_bands,
        definitions.email_subscribed,
        definitions.is_dynamic,
        definitions.is_active,
        definitions.sync_enabled,
        definitions.klaviyo_list_id,
        definitions.reentry_policy,
        definitions.reentry_cooldown_days,
        coalesce(members_per_segment.customer_count, 0) as customer_count
    from definitions
    left join members_per_segment
        on
            definitions.tenant_id = members_per_segment.tenant_id
            and definitions.segment_id = members_per_segment.segment_id
    left join tenant_settings on definitions.tenant_id = tenant_settings.tenant_id
)

select * from final
