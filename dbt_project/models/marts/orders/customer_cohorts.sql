{{ config(unique_key=['tenant_id', 'cohort_month', 'month']) }}

with orders as (
    select * from {{ ref('orders') }}
    where is_counted
),

tenants as (
    select * from {{ ref('tenants') }}
),

dated as (
    select
        orders.tenant_id,
        orders.customer_id,
        orders.net_amount_tenant,
        orders.tenant_currency,
        {{ tenant_date('orders.ordered_at', 'tenants.time_zone') }} as ordered_on,
        {{ tenant_date(as_of(), 'tenants.time_zone') }} as last_on
    from orders
    inner join tenants on orders.tenant_id = tenants.tenant_id
),

with_month as (
    select
        tenant_id,
        customer_id,
        net_amount_tenant,
        tenant_currency,
        cast(date_trunc('month', ordered_on) as date) as month,
        cast(date_trunc('month', last_on) as date) as last_month
    from dated
),

with_cohort as (
    select
        with_month.*,
        min(month) over (partition by tenant_id, customer_id) as cohort_month
    from with_month
),

cohorts as (
    select
        tenant_id,
        cohort_month,
        max(last_month) as last_month,
        max(tenant_currency) as currency,
        count(distinct customer_id) as customers
    from with_cohort
    group by tenant_id, cohort_month
),

orders_per_month as (
    select
        tenant_id,
        cohort_month,
        month,
        count(distinct customer_id) as active_customers,
        count(*) as orders,
        sum(net_amount_tenant) as net_amount
    from with_cohort
    group by tenant_id, cohort_month, month
),

months as (
    select
        cohorts.tenant_id,
        cohorts.cohort_month,
        cohorts.currency,
        cohorts.customers,
        cast(calendar.instant as date) as month
    from cohorts
    cross join
        lateral {{ dates_between(
            'cohorts.cohort_month', 'cohorts.last_month', 'month'
        ) }} as calendar (instant)
),

final as (
    select
        months.tenant_id,
        months.cohort_month,
        months.month,
        cast(
            12 * (extract(year from months.month) - extract(year from months.cohort_month))
            + extract(month from months.month) - extract(month from months.cohort_month)
            as integer
        ) as month_number,
        months.customers,
        coalesce(orders_per_month.active_customers, 0) as active_customers,
        coalesce(orders_per_month.orders, 0) as orders,
        cast(coalesce(orders_per_month.net_amount, 0) as numeric(14, 2)) as net_amount,
        months.currency
    from months
    left join orders_per_month
        on
            months.tenant_id = orders_per_month.tenant_id
            and months.cohort_month = orders_per_month.cohort_month
            and months.month = orders_per_month.month
)

select * from final
