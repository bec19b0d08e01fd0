{{ config(unique_key=['tenant_id', 'cohort_month', 'month']) }}

with months_of_customers as (
    select * from {{ ref('int_orders__months') }}
),

tenants as (
    select * from {{ ref('tenants') }}
),

with_cohort as (
    select
        months_of_customers.*,
        min(month) over (partition by customer_id, tenant_id) as cohort_month
    from months_of_customers
),

months_of_cohorts as (
    select
        tenant_id,
        cohort_month,
        month,
        max(currency) as currency,
        count(*) as active_customers,
        sum(orders) as orders,
        sum(net_amount) as net_amount
    from with_cohort
    group by tenant_id, cohort_month, month
),

-- Everybody of a cohort bought in its first month.
cohorts as (
    select
        months_of_cohorts.tenant_id,
        months_of_cohorts.cohort_month,
        months_of_cohorts.currency,
        months_of_cohorts.active_customers as customers,
        cast(
            date_trunc('month', {{ tenant_date(as_of(), 'tenants.time_zone') }}) as date
        ) as last_month
    from months_of_cohorts
    inner join tenants on months_of_cohorts.tenant_id = tenants.tenant_id
    where months_of_cohorts.month = months_of_cohorts.cohort_month
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
        coalesce(months_of_cohorts.active_customers, 0) as active_customers,
        cast(coalesce(months_of_cohorts.orders, 0) as {{ dbt.type_bigint() }}) as orders,
        cast(coalesce(months_of_cohorts.net_amount, 0) as numeric(14, 2)) as net_amount,
        months.currency
    from months
    left join months_of_cohorts
        on
            months.tenant_id = months_of_cohorts.tenant_id
            and months.cohort_month = months_of_cohorts.cohort_month
            and months.month = months_of_cohorts.month
)

select * from final
