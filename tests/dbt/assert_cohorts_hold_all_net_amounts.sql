-- A returned row is a tenant whose cohorts hold other orders or another net amount than its counted
-- orders: money was doubled or lost on the way.
with customer_cohorts as (
    select * from {{ ref('customer_cohorts') }}
),

orders as (
    select * from {{ ref('orders') }}
),

cohort_totals as (
    select
        tenant_id,
        sum(orders) as order_count,
        sum(net_amount) as amount,
        sum(customers) filter (where month = cohort_month) as customer_count
    from customer_cohorts
    group by tenant_id
),

order_totals as (
    select
        tenant_id,
        count(*) as order_count,
        sum(net_amount_tenant) as amount,
        count(distinct customer_id) as customer_count
    from orders
    where is_counted
    group by tenant_id
)

select
    coalesce(cohort_totals.tenant_id, order_totals.tenant_id) as tenant_id,
    cohort_totals.order_count as cohort_order_count,
    order_totals.order_count,
    cohort_totals.amount as cohort_amount,
    order_totals.amount,
    cohort_totals.customer_count as cohort_customer_count,
    order_totals.customer_count
from cohort_totals
full outer join order_totals on cohort_totals.tenant_id = order_totals.tenant_id
where
    cohort_totals.order_count is distinct from order_totals.order_count
    or cohort_totals.amount is distinct from order_totals.amount
    or cohort_totals.customer_count is distinct from order_totals.customer_count
