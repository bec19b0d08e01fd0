{{ config(unique_key=['tenant_id', 'lead_band']) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

lead_bands as (
    select * from {{ ref('lead_bands') }}
),

-- A tenant with any band of its own uses only its own bands.
bands_per_tenant as (
    select
        tenants.tenant_id,
        lead_bands.band as lead_band,
        lead_bands.min_score,
        lead_bands.max_score,
        lead_bands.band_order,
        lead_bands.tenant_id <> '*' as is_own,
        bool_or(lead_bands.tenant_id <> '*') over (partition by tenants.tenant_id) as has_own
    from tenants
    inner join lead_bands on lead_bands.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        lead_band,
        min_score,
        max_score,
        band_order
    from bands_per_tenant
    where is_own = has_own
)

select * from final
