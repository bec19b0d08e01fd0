{{ config(unique_key=['tenant_id', 'order_id']) }}

-- Purchases that are known from a touchpoint alone; the others are the order that they name.
with touchpoints as (
    {{ owned_rows('stg_touchpoints__touchpoints', 'touchpoints') }}
),

purchases as (
    select * from {{ ref('int_identity__purchases') }}
),

final as (
    select
        touchpoints.tenant_id,
        'touchpoint:' || touchpoints.touchpoint_id as order_id,
        touchpoints.touchpoint_id,
        touchpoints.customer_id,
        touchpoints.reference_id,
        touchpoints.reference_type,
        touchpoints.value_amount,
        touchpoints.collection,
        touchpoints.occurred_at
    from purchases
    inner join touchpoints
        on
            purchases.tenant_id = touchpoints.tenant_id
            and purchases.sighting_id = touchpoints.sighting_id
)

select * from final
