-- A returned row is a currency without a rate to the tenant's currency on that date: add the rate
-- to seeds/exchange_rates.csv.
with orders as (
    select * from {{ ref('int_orders__rated') }}
)

select
    tenant_id,
    currency,
    tenant_currency,
    ordered_on,
    count(*) as order_count
from orders
where rate is null
group by tenant_id, currency, tenant_currency, ordered_on
