-- A returned row is an end of a range at which no other range of its tenant and dimension
-- starts, so that some customers would get no points, or points twice.
with rfm_thresholds as (
    select * from {{ ref('rfm_thresholds') }}
),

ends_and_starts as (
    select
        upper_ranges.tenant_id as upper_tenant_id,
        lower_ranges.tenant_id,
        lower_ranges.dimension,
        lower_ranges.points,
        lower_ranges.max_value
    from rfm_thresholds as lower_ranges
    left join rfm_thresholds as upper_ranges
        on
            lower_ranges.tenant_id = upper_ranges.tenant_id
            and lower_ranges.dimension = upper_ranges.dimension
            and lower_ranges.max_value = upper_ranges.min_value
    where lower_ranges.max_value is not null
)

select *
from ends_and_starts
where upper_tenant_id is null
