with months as (
    select
        month,
        case when month = cohort_month then 'New buyers' else 'Returning buyers' end as buyers,
        sum(net_amount) as net_amount
    from marts.customer_cohorts
    group by month, case when month = cohort_month then 'New buyers' else 'Returning buyers' end
),

latest_months as (
    select distinct month
    from months
    order by month desc
    limit 12
)

select
    months.month,
    months.buyers,
    months.net_amount
from months
inner join latest_months on months.month = latest_months.month
order by months.month, months.buyers
