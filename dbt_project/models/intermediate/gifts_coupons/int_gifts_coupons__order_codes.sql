{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'order_id', 'code'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- All that a coupon may ask of an order, in the tenant's currency. Kept between builds, for a limit
-- counts the orders of everybody.
with codes as (
    select * from {{ ref('int_orders__codes') }}
    where {{ is_touched('int_orders__codes') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

shopify_orders as (
    {{ owned_rows('stg_shopify__orders', 'shopify_orders') }}
),

pieces as (
    select * from {{ ref('int_gifts_coupons__pieces') }}
    where {{ is_touched('int_gifts_coupons__pieces') }}
),

pieces_per_order as (
    select
        tenant_id,
        order_id,
        sum(quantity) as piece_count
    from pieces
    group by tenant_id, order_id
),

numbered_orders as (
    select
        orders.*,
        coalesce(
            sum(case when is_counted then 1 else 0 end) over (
                partition by customer_id, tenant_id
                order by ordered_at, order_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as counted_before,
        case when discount_codes not like '%,%' then discount_amount end as only_discount_amount
    from orders
),

discounts_per_code as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        upper(trim({{ json_text('code.value', 'code') }})) as code,
        sum({{ json_number('code.value', 'amount') }}) as discount_amount
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.discount_codes') }} as code (value)
    group by
        shopify_orders.tenant_id,
        shopify_orders.order_id,
        upper(trim({{ json_text('code.value', 'code') }}))
),

-- What a code took off, as the source says; else the order's whole discount, if it has one code.
final as (
    select
        codes.tenant_id,
        codes.order_id,
        codes.code,
        codes.customer_id,
        numbered_orders.ordered_at,
        numbered_orders.is_counted,
        numbered_orders.counted_before = 0 as is_first_order,
        cast(
            round(numbered_orders.gross_amount * numbered_orders.rate, 2) as numeric(14, 2)
        ) as purchase_amount,
        coalesce(pieces_per_order.piece_count, 1) as piece_count,
        cast(
            round(
                coalesce(
                    discounts_per_code.discount_amount, numbered_orders.only_discount_amount, 0
                ) * numbered_orders.rate,
                2
            ) as numeric(14, 2)
        ) as discount_amount,
        numbered_orders.net_amount_tenant as net_amount,
        numbered_orders.tenant_currency as currency
    from codes
    inner join numbered_orders
        on
            codes.tenant_id = numbered_orders.tenant_id
            and codes.order_id = numbered_orders.order_id
    left join pieces_per_order
        on
            codes.tenant_id = pieces_per_order.tenant_id
            and codes.order_id = pieces_per_order.order_id
    left join discounts_per_code
        on
            codes.tenant_id = discounts_per_code.tenant_id
            and codes.order_id = discounts_per_code.order_id
            and codes.code = discounts_per_code.code
)

select * from final
