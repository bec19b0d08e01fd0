{{ config(unique_key=['tenant_id', 'refund_id']) }}

-- A refund that the list names twice is one refund; one without an id is known by its place. Money
-- moved is what its transactions say; the lines stand in only when no transaction is given. One
-- that moved none, as a restock, is no refund. What an order that is refunded gave back beyond its
-- list is dated by the order's last change; nothing, where it was free or the part is not told.
with shopify_orders as (
    {{ owned_rows('stg_shopify__orders', 'shopify_orders') }}
),

listed as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        'shopify:' || shopify_orders.order_id || ':' || coalesce(
            {{ json_text('refund.value', 'id') }},
            '#' || cast(refund.place as {{ dbt.type_string() }})
        ) as refund_id,
        refund.place,
        -- money given back on no usable date is dated by the order's last change
        coalesce({{ json_timestamp('refund.value', 'created_at') }}, shopify_orders.updated_at)
            as refunded_at,
        {{ json_list("(refund.value -> 'transactions')") }} as transactions,
        {{ json_list("(refund.value -> 'refund_line_items')") }} as refund_line_items
    from shopify_orders
    cross join
        lateral {{ numbered_elements('shopify_orders.refunds') }} as refund (value, place)
),

ranked as (
    select
        listed.*,
        row_number() over (
            partition by order_id, tenant_id, refund_id
            order by place desc
        ) as recency
    from listed
),

refunds as (
    select *
    from ranked
    where recency = 1
),

transactions_per_refund as (
    select
        refunds.tenant_id,
        refunds.refund_id,
        coalesce(
            sum({{ json_number('payment.value', 'amount') }}) filter (
                where
                {{ json_text('payment.value', 'kind') }} = 'refund'
                and {{ json_text('payment.value', 'status') }} = 'success'
            ), 0
        ) as amount
    from refunds
    cross join lateral {{ json_array_elements('refunds.transactions') }} as payment (value)
    group by refunds.tenant_id, refunds.refund_id
),

lines_per_refund as (
    select
        refunds.tenant_id,
        refunds.refund_id,
        sum(
            coalesce({{ json_number('line.value', 'subtotal') }}, 0)
            + coalesce({{ json_number('line.value', 'total_tax') }}, 0)
        ) as amount
    from refunds
    cross join lateral {{ json_array_elements('refunds.refund_line_items') }} as line (value)
    group by refunds.tenant_id, refunds.refund_id
),

listed_refunds as (
    select
        refunds.tenant_id,
        refunds.order_id,
        refunds.refund_id,
        refunds.refunded_at,
        coalesce(transactions_per_refund.amount, lines_per_refund.amount, 0) as amount
    from refunds
    left join transactions_per_refund
        on
            refunds.tenant_id = transactions_per_refund.tenant_id
            and refunds.refund_id = transactions_per_refund.refund_id
    left join lines_per_refund
        on
            refunds.tenant_id = lines_per_refund.tenant_id
            and refunds.refund_id = lines_per_refund.refund_id
),

listed_per_order as (
    select
        tenant_id,
        order_id,
        sum(amount) as amount
    from listed_refunds
    group by tenant_id, order_id
),

rest_of_orders as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        'shopify:' || shopify_orders.order_id || ':rest' as refund_id,
        coalesce(shopify_orders.updated_at, shopify_orders.created_at) as refunded_at,
        case
            when shopify_orders.financial_status = 'refunded'
                then shopify_orders.total_amount - coalesce(listed_per_order.amount, 0)
            else 0
        end as amount
    from shopify_orders
    left join listed_per_order
        on
            shopify_orders.tenant_id = listed_per_order.tenant_id
            and 'shopify:' || shopify_orders.order_id = listed_per_order.order_id
    where
        (
            shopify_orders.financial_status = 'refunded'
            and shopify_orders.total_amount > coalesce(listed_per_order.amount, 0)
        )
        or (
            shopify_orders.financial_status in ('refunded', 'partially_refunded')
            and coalesce(listed_per_order.amount, 0) = 0
        )
),

final as (
    select * from listed_refunds
    where amount > 0

    union all

    select * from rest_of_orders
)

select * from final
