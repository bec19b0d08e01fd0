{{ config(unique_key=['tenant_id', 'order_id']) }}

-- The rate of the order's date in the tenant's zone holds for the order and for all its refunds. A
-- missing rate stays null here, and a test stops the build before any mart changes.
with orders as (
    select * from {{ ref('int_orders__unified') }}
),

exchange_rates as (
    select * from {{ ref('exchange_rates') }}
),

rate_periods as (
    select
        currency,
        to_currency,
        valid_from,
        lead(valid_from) over (partition by currency, to_currency order by valid_from)
            as valid_to,
        rate
    from exchange_rates
),

final as (
    select
        orders.tenant_id,
        orders.order_id,
        orders.source,
        orders.source_order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.cancelled_at,
        orders.is_failed,
        orders.is_paid,
        orders.gross_amount,
        orders.discount_amount,
        orders.owed_amount,
        orders.currency,
        orders.discount_codes,
        orders.shop_id,
        orders.slug,
        orders.collection,
        orders.tenant_currency,
        orders.ordered_on,
        case
            when orders.currency = orders.tenant_currency then 1
            else rate_periods.rate
        end as rate
    from orders
    left join rate_periods
        on
            orders.currency = rate_periods.currency
            and orders.tenant_currency = rate_periods.to_currency
            and orders.ordered_on >= rate_periods.valid_from
            and (orders.ordered_on < rate_periods.valid_to or rate_periods.valid_to is null)
)

select * from final
