-- A returned row is a currency without a rate to the tenant's currency on that date: add
-- line_to_add, with the rate in the place of the question mark, to seeds/exchange_rates.csv.
with orders as (
    select * from {{ ref('int_orders__rated') }}
),

-- a rate lasts until the pair's next one, so that the first date stands for all
missing_rates as (
    select
        currency,
        tenant_currency,
        cast(min(ordered_on) as {{ dbt.type_string() }}) as ordered_on,
        count(*) as order_count
    from orders
    where rate is null
    group by currency, tenant_currency
)

select
    currency,
    tenant_currency,
    ordered_on,
    currency || ',' || tenant_currency || ',' || ordered_on || ',?' as line_to_add,
    order_count
from missing_rates
