{{ config(unique_key=['tenant_id', 'order_id']) }}

with eventbrite_orders as (
    {{ owned_rows('stg_eventbrite__orders', 'eventbrite_orders') }}
),

eventbrite_attendees as (
    {{ owned_rows('stg_eventbrite__attendees', 'eventbrite_attendees') }}
),

currency_minor_units as (
    select * from {{ ref('currency_minor_units') }}
),

priced as (
    select
        tenant_id,
        order_id,
        customer_id,
        created_at,
        changed_at,
        status,
        promo_code,
        upper(trim({{ json_text_path('costs', ['gross', 'currency']) }})) as currency,
        {{ json_number("(costs -> 'gross')", 'value') }} as gross_minor
    from eventbrite_orders
),

-- Orders of which no ticket was kept.
refunded_with_tickets as (
    select
        tenant_id,
        order_id,
        max(changed_at) as refunded_at
    from eventbrite_attendees
    group by tenant_id, order_id
    having bool_and(is_refunded)
),

final as (
    select
        priced.tenant_id,
        'eventbrite:' || priced.order_id as order_id,
        'eventbrite' as source,
        priced.order_id as source_order_id,
        priced.customer_id,
        priced.created_at as ordered_at,
        case
            when priced.status in ('cancelled', 'deleted') then priced.changed_at
        end as cancelled_at,
        -- a free order gives back no money that would tell, so its tickets do
        case
            when priced.status = 'refunded' then priced.changed_at
            when priced.gross_minor = 0 then refunded_with_tickets.refunded_at
        end as fully_refunded_at,
        false as is_test,
        priced.status = 'abandoned' as is_failed,
        priced.status in ('placed', 'refunded', 'cancelled', 'deleted', 'transferred') as is_paid,
        cast(
            priced.gross_minor / power(10, coalesce(currency_minor_units.minor_unit_digits, 2))
            as numeric(16, 4)
        ) as gross_amount,
        0 as discount_amount,
        priced.currency,
        priced.promo_code as discount_codes
    from priced
    left join currency_minor_units on priced.currency = currency_minor_units.currency
    left join refunded_with_tickets
        on
            priced.tenant_id = refunded_with_tickets.tenant_id
            and priced.order_id = refunded_with_tickets.order_id
)

select * from final
