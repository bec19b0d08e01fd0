-- A returned row is a lead band whose end is not followed at once by the next band, so that
-- some scores would have no band, or two.
with lead_bands as (
    select * from {{ ref('lead_bands') }}
),

bands_with_next as (
    select
        tenant_id,
        band,
        max_score,
        lead(min_score) over (partition by tenant_id order by min_score, band) as next_min_score
    from lead_bands
)

select *
from bands_with_next
where max_score + 1 <> next_min_score
