-- A returned row is a tenant and dimension whose rows do not add up to its customers, or a funnel
-- that begins with another number of people.
with customers as (
    select * from {{ ref('customers') }}
),

journey_analytics as (
    select * from {{ ref('journey_analytics') }}
),

journey_funnel as (
    select * from {{ ref('journey_funnel') }}
),

customers_per_tenant as (
    select
        tenant_id,
        count(*) as customers
    from customers
    group by tenant_id
),

sums as (
    select
        tenant_id,
        dimension as counted_in,
        sum(customers) as customers
    from journey_analytics
    group by tenant_id, dimension

    union all

    select
        tenant_id,
        'funnel' as counted_in,
        customers
    from journey_funnel
    where step_order = 1
)

select
    sums.tenant_id,
    sums.counted_in,
    sums.customers as counted_customers,
    customers_per_tenant.customers
from sums
left join customers_per_tenant on sums.tenant_id = customers_per_tenant.tenant_id
where sums.customers <> coalesce(customers_per_tenant.customers, 0)
