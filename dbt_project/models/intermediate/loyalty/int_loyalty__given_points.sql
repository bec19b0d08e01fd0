{{ config(unique_key=['tenant_id', 'event_type', 'source_id']) }}

with members as (
    select * from {{ ref('int_loyalty__members') }}
    where {{ is_touched('int_loyalty__members') }}
),

adjustments as (
    select * from {{ ref('int_loyalty__adjustments') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

redemptions as (
    select * from {{ ref('int_loyalty__redemptions') }}
    where {{ is_touched('int_loyalty__redemptions') }}
),

referral_points as (
    select * from {{ ref('int_loyalty__referral_points') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- An adjustment for a person nobody knows stays in int_loyalty__adjustments and moves nothing.
points_by_hand as (
    select
        adjustments.tenant_id,
        adjustments.customer_id,
        adjustments.adjustment_type as event_type,
        adjustments.adjustment_id as source_id,
        -- only a birthday may leave its points to the settings; the contract holds that
        coalesce(adjustments.points, tenant_settings.points_birthday) as points,
        adjustments.occurred_at
    from adjustments
    inner join tenant_settings on adjustments.tenant_id = tenant_settings.tenant_id
    where
        adjustments.customer_id is not null
        and {{ visible('adjustments.occurred_at') }}
),

points_for_reviews as (
    select
        touchpoints.tenant_id,
        touchpoints.customer_id,
        'review' as event_type,
        touchpoints.touchpoint_id as source_id,
        tenant_settings.points_review as points,
        touchpoints.occurred_at
    from touchpoints
    inner join tenant_settings on touchpoints.tenant_id = tenant_settings.tenant_id
    where
        touchpoints.touchpoint_type = 'review'
        and touchpoints.customer_id is not null
        and tenant_settings.points_review > 0
        and {{ visible('touchpoints.occurred_at') }}
),

points_for_joining as (
    select
        members.tenant_id,
        members.customer_id,
        'sign_up' as event_type,
        members.customer_id as source_id,
        tenant_settings.points_sign_up as points,
        members.joined_at as occurred_at
    from members
    inner join tenant_settings on members.tenant_id = tenant_settings.tenant_id
    where tenant_settings.points_sign_up > 0
),

points_spent as (
    select
        tenant_id,
        customer_id,
        movement_type as event_type,
        request_id as source_id,
        -points as points,
        decided_at as occurred_at
    from redemptions
),

points_returned as (
    select
        tenant_id,
        customer_id,
        case movement_type
            when 'redeem_product' then 'unused_product'
            else 'unused_discount'
        end as event_type,
        request_id as source_id,
        points,
        expires_at as occurred_at
    from redemptions
    where used_at is null and {{ visible('expires_at') }}
),

{% set sources = [
    'points_by_hand', 'points_for_reviews', 'referral_points', 'points_for_joining',
    'points_spent', 'points_returned',
] -%}
final as (
    {%- for source in sources %}
        select
            tenant_id,
            customer_id,
            event_type,
            source_id,
            cast(points as bigint) as points,
            occurred_at
        from {{ source }}
        {%- if not loop.last %}

            union all
        {% endif %}
    {%- endfor %}
)

select * from final
