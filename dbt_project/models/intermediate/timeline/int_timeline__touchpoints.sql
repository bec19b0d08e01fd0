{{ config(unique_key=['tenant_id', 'activity_id']) }}

-- Purchase touchpoints are left out: each one is an order already, its own or the one it names.
with touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

final as (
    select
        touchpoints.tenant_id,
        'touchpoint:' || touchpoints.touchpoint_id as activity_id,
        touchpoints.customer_id,
        touchpoints.touchpoint_type as activity_type,
        touchpoints.occurred_at,
        'touchpoints' as source,
        touchpoints.touchpoint_id as source_id,
        cast(touchpoints.value_amount as numeric(14, 2)) as amount,
        case when touchpoints.value_amount is not null then tenants.currency end as currency,
        upper(left(touchpoints.touchpoint_type, 1))
        || replace(substring(touchpoints.touchpoint_type, 2), '_', ' ')
        || coalesce(', ' || touchpoints.collection, '')
        || coalesce(', via ' || touchpoints.channel, '') as title,
        touchpoints.metadata
    from touchpoints
    -- every tenant that has raw rows stands in the seed; the loader holds that
    inner join tenants on touchpoints.tenant_id = tenants.tenant_id
    where touchpoints.touchpoint_type <> 'purchase'
)

select * from final
