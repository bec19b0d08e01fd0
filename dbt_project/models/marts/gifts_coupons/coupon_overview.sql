{{ config(unique_key=['tenant_id']) }}

with coupons as (
    select * from {{ ref('coupons') }}
),

counted_uses as (
    select * from {{ ref('coupon_uses') }}
    where is_counted
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

{% set statuses = ['draft', 'active', 'paused', 'expired', 'depleted'] -%}
coupons_per_tenant as (
    select
        tenant_id,
        {% for status in statuses %}
            count(*) filter (where status = '{{ status }}') as {{ status }}_count,
        {% endfor %}
        count(*) as coupon_count
    from coupons
    group by tenant_id
),

uses_per_tenant as (
    select
        tenant_id,
        count(*) filter (where verdict = 'valid') as use_count,
        count(*) filter (where verdict = 'unknown_code') as unknown_code_count,
        count(*) filter (where verdict not in ('valid', 'unknown_code')) as refused_count,
        sum(discount_amount) filter (where verdict = 'valid') as discount_amount,
        sum(discount_amount) filter (where verdict <> 'valid') as refused_discount_amount,
        sum(net_amount) filter (where verdict = 'valid') as net_amount
    from counted_uses
    group by tenant_id
),

final as (
    select
        tenants.tenant_id,
        coalesce(coupons_per_tenant.coupon_count, 0) as coupon_count,
        {% for status in statuses %}
            coalesce(coupons_per_tenant.{{ status }}_count, 0) as {{ status }}_count,
        {% endfor %}
        coalesce(uses_per_tenant.use_count, 0) as use_count,
        coalesce(uses_per_tenant.refused_count, 0) as refused_count,
        coalesce(uses_per_tenant.unknown_code_count, 0) as unknown_code_count,
        cast(coalesce(uses_per_tenant.discount_amount, 0) as numeric(14, 2)) as discount_amount,
        cast(
            coalesce(uses_per_tenant.refused_discount_amount, 0) as numeric(14, 2)
        ) as refused_discount_amount,
        cast(coalesce(uses_per_tenant.net_amount, 0) as numeric(14, 2)) as net_amount,
        tenants.currency
    from tenants
    left join coupons_per_tenant on tenants.tenant_id = coupons_per_tenant.tenant_id
    left join uses_per_tenant on tenants.tenant_id = uses_per_tenant.tenant_id
)

select * from final
