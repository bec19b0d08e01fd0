{{ config(unique_key=['tenant_id', 'dimension', 'points']) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

rfm_thresholds as (
    select * from {{ ref('rfm_thresholds') }}
),

-- A tenant with any row of its own in a dimension uses only its own rows there.
thresholds_per_tenant as (
    select
        tenants.tenant_id,
        rfm_thresholds.dimension,
        rfm_thresholds.points,
        rfm_thresholds.min_value,
        rfm_thresholds.max_value,
        rfm_thresholds.tenant_id <> '*' as is_own,
        bool_or(rfm_thresholds.tenant_id <> '*')
            over (partition by tenants.tenant_id, rfm_thresholds.dimension) as has_own
    from tenants
    inner join rfm_thresholds on rfm_thresholds.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        dimension,
        points,
        min_value,
        max_value
    from thresholds_per_tenant
    where is_own = has_own
)

select * from final
