{{ config(unique_key=['tenant_id', 'order_id']) }}

-- Children are summed to the order before anything is joined, so no refund or transaction counts
-- twice. A successful sale or capture is payment; authorizations and voids are not. While a payment
-- is still to come, the payments until then decide and not the state that the order has by now.
with shopify_orders as (
    {{ owned_rows('stg_shopify__orders', 'shopify_orders') }}
),

payments as (
    select
        shopify_orders.tenant_id,
        shopify_orders.order_id,
        {{ json_number('payment.value', 'amount') }} as amount,
        coalesce({{ json_timestamp('payment.value', 'processed_at') }}, shopify_orders.created_at)
            as paid_at
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.transactions') }} as payment (value)
    where
        {{ json_text('payment.value', 'kind') }} in ('sale', 'capture')
        and {{ json_text('payment.value', 'status') }} = 'success'
),

payments_per_order as (
    select
        tenant_id,
        order_id,
        sum(amount) filter (where {{ visible('paid_at') }}) as paid_amount,
        min(paid_at) filter (where not {{ visible('paid_at') }}) as next_payment_at
    from payments
    group by tenant_id, order_id
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
        (
            shopify_orders.financial_status in ('paid', 'partially_refunded', 'refunded')
            and payments_per_order.next_payment_at is null
        )
        or (
            payments_per_order.paid_amount is not null
            and payments_per_order.paid_amount >= shopify_orders.total_amount
        ) as is_paid,
        payments_per_order.next_payment_at,
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
