with latest_cohorts as (
    select distinct cohort_month
    from marts.customer_cohorts
    order by cohort_month desc
    limit 12
)

select
    cohorts.cohort_month,
    cohorts.month_number,
    cohorts.active_customers,
    cohorts.customers,
    cast(cohorts.active_customers as numeric) / nullif(cohorts.customers, 0) as retention_rate
from marts.customer_cohorts as cohorts
inner join latest_cohorts on cohorts.cohort_month = latest_cohorts.cohort_month
order by cohorts.cohort_month, cohorts.month_number
