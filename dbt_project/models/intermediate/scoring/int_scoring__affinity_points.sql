{{ config(unique_key=['tenant_id', 'touchpoint_type']) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

affinity_points as (
    select * from {{ ref('affinity_points') }}
),

-- A tenant's own points for a touchpoint type stand above the default for that type.
points_per_tenant as (
    select
        tenants.tenant_id,
        affinity_points.touchpoint_type,
        affinity_points.points,
        affinity_points.tenant_id <> '*' as is_own,
        bool_or(affinity_points.tenant_id <> '*')
            over (partition by tenants.tenant_id, affinity_points.touchpoint_type) as has_own
    from tenants
    inner join affinity_points on affinity_points.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        touchpoint_type,
        points
    from points_per_tenant
    where is_own = has_own
)

select * from final
