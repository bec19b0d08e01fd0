-- Of months that are over: a month that has just begun would look as if nobody came back.
with months_over as (
    select *
    from marts.customer_cohorts
    where month < date_trunc('month', cast(:as_of as timestamptz) at time zone :time_zone)
),

latest_cohorts as (
    select distinct cohort_month
    from months_over
    order by cohort_month desc
    limit 12
)

select
    cohorts.cohort_month,
    cohorts.month_number,
    cohorts.active_customers,
    cohorts.customers,
    cast(cohorts.active_customers as numeric) / nullif(cohorts.customers, 0) as retention_rate
from months_over as cohorts
inner join latest_cohorts on cohorts.cohort_month = latest_cohorts.cohort_month
order by cohorts.cohort_month, cohorts.month_number
