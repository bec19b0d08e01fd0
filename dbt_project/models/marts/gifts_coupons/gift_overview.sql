{{ config(unique_key=['tenant_id']) }}

with gifts as (
    select * from {{ ref('gifts') }}
),

gift_claims as (
    select * from {{ ref('gift_claims') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

{% set statuses = ['pending', 'delivered', 'claimed', 'expired', 'cancelled'] -%}
gifts_per_tenant as (
    select
        tenant_id,
        count(*) as gift_count,
        {% for status in statuses %}
            count(*) filter (where status = '{{ status }}') as {{ status }}_count,
        {% endfor %}
        count(*) filter (where delivered_at is not null) as ever_delivered_count
    from gifts
    group by tenant_id
),

refusals_per_tenant as (
    select
        tenant_id,
        count(*) as refused_claim_count
    from gift_claims
    where status = 'refused'
    group by tenant_id
),

final as (
    select
        tenants.tenant_id,
        coalesce(gifts_per_tenant.gift_count, 0) as gift_count,
        {% for status in statuses %}
            coalesce(gifts_per_tenant.{{ status }}_count, 0) as {{ status }}_count,
        {% endfor %}
        coalesce(refusals_per_tenant.refused_claim_count, 0) as refused_claim_count,
        cast(
            cast(gifts_per_tenant.claimed_count as numeric)
            / nullif(gifts_per_tenant.ever_delivered_count, 0)
            as numeric(6, 4)
        ) as claim_rate
    from tenants
    left join gifts_per_tenant on tenants.tenant_id = gifts_per_tenant.tenant_id
    left join refusals_per_tenant on tenants.tenant_id = refusals_per_tenant.tenant_id
)

select * from final
