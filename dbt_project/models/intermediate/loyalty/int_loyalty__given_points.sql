with order_events as (
    select * from {{ ref('int_loyalty__order_events') }}
),

adjustments as (
    select * from {{ ref('int_loyalty__adjustments') }}
),

touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- An adjustment for a person nobody knows stays in int_loyalty__adjustments and moves nothing.
points_by_hand as (
    select
        tenant_id,
        customer_id,
        adjustment_type as event_type,
        adjustment_id as source_id,
        points,
        occurred_at
    from adjustments
    where
        customer_id is not null
        and {{ visible('occurred_at') }}
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

-- A customer joins with the first order that counts or the first points, whichever is earlier.
reasons_to_join as (
    select
        tenant_id,
        customer_id,
        occurred_at
    from order_events

    union all

    select
        tenant_id,
        customer_id,
        occurred_at
    from points_by_hand

    union all

    select
        tenant_id,
        customer_id,
        occurred_at
    from points_for_reviews
),

joins as (
    select
        tenant_id,
        customer_id,
        min(occurred_at) as joined_at
    from reasons_to_join
    group by tenant_id, customer_id
),

points_for_joining as (
    select
        joins.tenant_id,
        joins.customer_id,
        'sign_up' as event_type,
        joins.customer_id as source_id,
        tenant_settings.points_sign_up as points,
        joins.joined_at as occurred_at
    from joins
    inner join tenant_settings on joins.tenant_id = tenant_settings.tenant_id
    where tenant_settings.points_sign_up > 0
),

final as (
    {%- for source in ['points_by_hand', 'points_for_reviews', 'points_for_joining'] %}
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
