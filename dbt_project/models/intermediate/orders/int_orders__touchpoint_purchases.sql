-- A purchase touchpoint that names an order of any source is that order; only the others are orders
-- of their own. Touchpoints naming the same unknown order are one purchase, the earliest of them.
with touchpoints as (
    select * from {{ ref('stg_touchpoints__touchpoints') }}
),

shopify_orders as (
    select * from {{ ref('stg_shopify__orders') }}
),

eventbrite_orders as (
    select * from {{ ref('stg_eventbrite__orders') }}
),

humanitix_orders as (
    select * from {{ ref('stg_humanitix__orders') }}
),

shop_orders as (
    select * from {{ ref('stg_shops__orders') }}
),

known_orders as (
    select
        tenant_id,
        order_id
    from shopify_orders
    union
    select
        tenant_id,
        order_id
    from eventbrite_orders
    union
    select
        tenant_id,
        order_id
    from humanitix_orders
    union
    select
        tenant_id,
        order_id
    from shop_orders
),

unmatched_purchases as (
    select
        touchpoints.*,
        case
            when touchpoints.reference_type = 'order' and touchpoints.reference_id is not null
                then {{ hash_id(["'order'", 'touchpoints.reference_id']) }}
            else {{ hash_id(["'touchpoint'", 'touchpoints.touchpoint_id']) }}
        end as purchase_key
    from touchpoints
    left join known_orders
        on
            touchpoints.tenant_id = known_orders.tenant_id
            and touchpoints.reference_type = 'order'
            and touchpoints.reference_id = known_orders.order_id
    where
        touchpoints.touchpoint_type = 'purchase'
        and known_orders.order_id is null
),

ranked as (
    select
        unmatched_purchases.*,
        row_number() over (
            partition by tenant_id, purchase_key order by occurred_at, touchpoint_id
        ) as purchase_order
    from unmatched_purchases
),

final as (
    select
        tenant_id,
        'touchpoint:' || touchpoint_id as order_id,
        touchpoint_id,
        email,
        phone,
        shopify_customer_id,
        klaviyo_profile_id,
        anonymous_id,
        reference_id,
        reference_type,
        value_amount,
        collection,
        occurred_at,
        first_load_id
    from ranked
    where purchase_order = 1
)

select * from final
