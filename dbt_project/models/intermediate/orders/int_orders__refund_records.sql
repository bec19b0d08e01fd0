-- Every source's refunds as dated facts in order currency. Where a platform only says that more was
-- given back than its tickets show, the rest is dated by the order's last change.
with shopify_orders as (
    select * from {{ ref('stg_shopify__orders') }}
),

eventbrite_orders as (
    select * from {{ ref('int_orders__eventbrite') }}
),

eventbrite_attendees as (
    select * from {{ ref('stg_eventbrite__attendees') }}
),

humanitix_orders as (
    select * from {{ ref('int_orders__humanitix') }}
),

humanitix_tickets as (
    select * from {{ ref('stg_humanitix__tickets') }}
),

shop_orders as (
    select * from {{ ref('int_orders__shops') }}
),

currency_minor_units as (
    select * from {{ ref('currency_minor_units') }}
),

shopify_refunds as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        'shopify:' || {{ json_text('refund.value', 'id') }} as refund_id,
        -- money given back on no usable date is dated by the order's last change
        coalesce(
            {{ json_timestamp('refund.value', 'created_at') }}, shopify_orders.updated_at
        ) as refunded_at,
        {{ json_list("(refund.value -> 'transactions')") }} as transactions,
        {{ json_list("(refund.value -> 'refund_line_items')") }} as refund_line_items
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.refunds') }} as refund (value)
),

shopify_refund_transactions as (
    select
        shopify_refunds.tenant_id,
        shopify_refunds.refund_id,
        coalesce(
            sum({{ json_number('payment.value', 'amount') }}) filter (
                where
                {{ json_text('payment.value', 'kind') }} = 'refund'
                and {{ json_text('payment.value', 'status') }} = 'success'
            ), 0
        ) as amount
    from shopify_refunds
    cross join lateral {{ json_array_elements('shopify_refunds.transactions') }} as payment (value)
    group by shopify_refunds.tenant_id, shopify_refunds.refund_id
),

shopify_refund_lines as (
    select
        shopify_refunds.tenant_id,
        shopify_refunds.refund_id,
        sum(
            coalesce({{ json_number('line.value', 'subtotal') }}, 0)
            + coalesce({{ json_number('line.value', 'total_tax') }}, 0)
        ) as amount
    from shopify_refunds
    cross join
        lateral {{ json_array_elements('shopify_refunds.refund_line_items') }} as line (value)
    group by shopify_refunds.tenant_id, shopify_refunds.refund_id
),

-- Money moved is what its transactions say; the lines stand in only when no transaction is given.
shopify_amounts as (
    select
        shopify_refunds.tenant_id,
        shopify_refunds.order_id,
        shopify_refunds.refund_id,
        shopify_refunds.refunded_at,
        coalesce(shopify_refund_transactions.amount, shopify_refund_lines.amount, 0) as amount
    from shopify_refunds
    left join shopify_refund_transactions
        on
            shopify_refunds.tenant_id = shopify_refund_transactions.tenant_id
            and shopify_refunds.refund_id = shopify_refund_transactions.refund_id
    left join shopify_refund_lines
        on
            shopify_refunds.tenant_id = shopify_refund_lines.tenant_id
            and shopify_refunds.refund_id = shopify_refund_lines.refund_id
),

eventbrite_ticket_refunds as (
    select
        eventbrite_attendees.tenant_id,
        'eventbrite:' || eventbrite_attendees.order_id as order_id,
        'eventbrite-attendee:' || eventbrite_attendees.attendee_id as refund_id,
        eventbrite_attendees.changed_at as refunded_at,
        cast(
            {{ json_number("(eventbrite_attendees.costs -> 'gross')", 'value') }}
            / power(10, coalesce(currency_minor_units.minor_unit_digits, 2))
            as numeric(14, 2)
        ) as amount
    from eventbrite_attendees
    left join currency_minor_units
        on
            {{ json_text_path('eventbrite_attendees.costs', ['gross', 'currency']) }}
            = currency_minor_units.currency
    where eventbrite_attendees.is_refunded
),

eventbrite_refunded_on_tickets as (
    select
        tenant_id,
        order_id,
        sum(amount) as amount
    from eventbrite_ticket_refunds
    group by tenant_id, order_id
),

eventbrite_order_refunds as (
    select
        eventbrite_orders.tenant_id,
        eventbrite_orders.order_id,
        eventbrite_orders.order_id as refund_id,
        eventbrite_orders.fully_refunded_at as refunded_at,
        eventbrite_orders.gross_amount - coalesce(eventbrite_refunded_on_tickets.amount, 0)
            as amount
    from eventbrite_orders
    left join eventbrite_refunded_on_tickets
        on
            eventbrite_orders.tenant_id = eventbrite_refunded_on_tickets.tenant_id
            and eventbrite_orders.order_id = eventbrite_refunded_on_tickets.order_id
    where eventbrite_orders.fully_refunded_at is not null
),

humanitix_ticket_refunds as (
    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        'humanitix-ticket:' || ticket_id as refund_id,
        coalesce(cancelled_at, updated_at) as refunded_at,
        total_amount as amount
    from humanitix_tickets
    where is_refunded
),

humanitix_refunded_on_tickets as (
    select
        tenant_id,
        order_id,
        sum(amount) as amount
    from humanitix_ticket_refunds
    group by tenant_id, order_id
),

humanitix_order_refunds as (
    select
        humanitix_orders.tenant_id,
        humanitix_orders.order_id,
        humanitix_orders.order_id as refund_id,
        humanitix_orders.updated_at as refunded_at,
        humanitix_orders.refunded_amount - coalesce(humanitix_refunded_on_tickets.amount, 0)
            as amount
    from humanitix_orders
    left join humanitix_refunded_on_tickets
        on
            humanitix_orders.tenant_id = humanitix_refunded_on_tickets.tenant_id
            and humanitix_orders.order_id = humanitix_refunded_on_tickets.order_id
),

shop_refunds as (
    select
        tenant_id,
        order_id,
        order_id as refund_id,
        updated_at as refunded_at,
        refunded_amount as amount
    from shop_orders
),

all_refunds as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from shopify_amounts
    union all
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from eventbrite_ticket_refunds
    union all
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from eventbrite_order_refunds
    union all
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from humanitix_ticket_refunds
    union all
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from humanitix_order_refunds
    union all
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        amount
    from shop_refunds
),

final as (
    select
        tenant_id,
        order_id,
        refund_id,
        refunded_at,
        cast(amount as numeric(14, 2)) as amount
    from all_refunds
    where
        amount > 0
        and {{ visible('refunded_at') }}
)

select * from final
