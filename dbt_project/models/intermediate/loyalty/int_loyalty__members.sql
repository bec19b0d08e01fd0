{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'customer_id'],
    meta={'within': 'int_customers__touched'},
) }}

-- A customer joins with the first order that counts or the first points, whichever is earlier. The
-- code is drawn here, once per member, and handed out over everybody.
with order_events as (
    select * from {{ ref('int_loyalty__order_events') }}
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

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

reviews_with_points as (
    select
        touchpoints.tenant_id,
        touchpoints.customer_id,
        touchpoints.occurred_at
    from touchpoints
    inner join tenant_settings on touchpoints.tenant_id = tenant_settings.tenant_id
    where
        touchpoints.touchpoint_type = 'review'
        and tenant_settings.points_review > 0
),

redemption_dates as (
    select
        tenant_id,
        customer_id,
        decided_at as occurred_at
    from redemptions
),

{% set reasons = ['order_events', 'adjustments', 'reviews_with_points', 'redemption_dates'] -%}
reasons_to_join as (
    {%- for reason in reasons %}
        select
            tenant_id,
            customer_id,
            occurred_at
        from {{ reason }}
        {%- if not loop.last %}

            union all
        {% endif %}
    {%- endfor %}
),

members as (
    select
        tenant_id,
        customer_id,
        min(occurred_at) as joined_at,
        {{ hash_id(['tenant_id', 'customer_id']) }} as code_hash
    from reasons_to_join
    where
        customer_id is not null
        and {{ visible('occurred_at') }}
    group by tenant_id, customer_id
),

final as (
    select
        tenant_id,
        customer_id,
        joined_at,
        {{ referral_code('code_hash') }} as drawn_code
    from members
)

select * from final
