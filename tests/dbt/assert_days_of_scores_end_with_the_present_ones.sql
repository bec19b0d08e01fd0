-- A returned row is a lead band whose last day holds other people, or another average, than the
-- present scores: what was added and taken away day by day lost somebody or counted them twice.
with lead_score_daily as (
    select * from {{ ref('lead_score_daily') }}
),

lead_scores as (
    select * from {{ ref('lead_scores') }}
),

with_last_days as (
    select
        lead_score_daily.*,
        max(score_on) over (partition by tenant_id) as last_on
    from lead_score_daily
),

last_days as (
    select *
    from with_last_days
    where score_on = last_on
),

present as (
    select
        tenant_id,
        lead_band,
        count(*) as customers,
        cast(avg(lead_score) as numeric(6, 2)) as average_score
    from lead_scores
    group by tenant_id, lead_band
)

select
    coalesce(last_days.tenant_id, present.tenant_id) as tenant_id,
    coalesce(last_days.lead_band, present.lead_band) as lead_band,
    last_days.customers,
    present.customers as present_customers,
    last_days.average_score,
    present.average_score as present_average_score
from last_days
full outer join present
    on
        last_days.tenant_id = present.tenant_id
        and last_days.lead_band = present.lead_band
where
    coalesce(last_days.customers, 0) <> coalesce(present.customers, 0)
    or last_days.average_score is distinct from present.average_score
