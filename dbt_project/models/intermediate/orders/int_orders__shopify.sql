{{ config(unique_key=['tenant_id', 'order_id']) }}

-- Children are summed to the order before anything is joined, so no refund or transaction counts
-- twice. A successful sale or capture is payment; authorizations and voids are not.
with shopify_orders as (
    {{ owned_rows('stg_shopify__orders', 'shopify_orders') }}
),

payments_per_order as (
    select
        shopify_orders.tenant_id,
        shopify_orders.order_id,
        sum({{ json_number('payment.value', 'amount') }}) as paid_amount
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.transactions') }} as payment (value)
    where
        {{ json_text('payment.value', 'kind') }} in ('sale', 'capture')
        and {{ json_text('payment.value', 'status') }} = 'success'
    group by shopify_orders.tenant_id, shopify_orders.order_id
),

codes_per_order as (
    select
        shopify_orders.tenant_id,
        shopify_orders.order_id,
        {{ text_list(json_text('code.value', 'code')) }} as discount_codes
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.discount_codes') }} as code (value)
    group by shopify_orders.tenant_id, shopify_orders.order_id
),

final as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        'shopify' as source,
        shopify_orders.order_id as source_order_id,
        shopify_orders.customer_id,
        shopify_orders.created_at as ordered_at,
        shopify_orders.cancelled_at,
        shopify_orders.is_test,
        shopify_orders.financial_status = 'voided'
        or shopify_orders.financial_status = 'expired' as is_failed,
        shopify_orders.financial_status in ('paid', 'partially_refunded', 'refunded')
        or (
            payments_per_order.paid_amount is not null
            and payments_per_order.paid_amount >= shopify_orders.total_amount
        ) as is_paid,
        shopify_orders.total_amount + coalesce(shopify_orders.discount_amount, 0) as gross_amount,
        coalesce(shopify_orders.discount_amount, 0) as discount_amount,
        shopify_orders.currency,
        codes_per_order.discount_codes
    from shopify_orders
    left join payments_per_order
        on
            shopify_orders.tenant_id = payments_per_order.tenant_id
            and shopify_orders.order_id = payments_per_order.order_id
    left join codes_per_order
        on
            shopify_orders.tenant_id = codes_per_order.tenant_id
            and shopify_orders.order_id = codes_per_order.order_id
)

select * from final
