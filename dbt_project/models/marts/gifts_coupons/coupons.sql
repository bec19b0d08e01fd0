{{ config(
    unique_key=['tenant_id', 'coupon_id'],
    indexes=[{'columns': ['tenant_id', 'code']}],
) }}

with coupons as (
    select * from {{ ref('stg_gifts_coupons__coupons') }}
),

counted_uses as (
    select * from {{ ref('coupon_uses') }}
    where is_counted
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

uses_per_coupon as (
    select
        tenant_id,
        coupon_id,
        count(*) filter (where verdict = 'valid') as use_count,
        count(*) filter (where verdict <> 'valid') as refused_count,
        count(distinct case when verdict = 'valid' then customer_id end) as customer_count,
        sum(discount_amount) filter (where verdict = 'valid') as discount_amount,
        sum(discount_amount) filter (where verdict <> 'valid') as refused_discount_amount,
        sum(net_amount) filter (where verdict = 'valid') as net_amount,
        max(used_at) filter (where verdict = 'valid') as last_used_at
    from counted_uses
    group by tenant_id, coupon_id
),

final as (
    select
        coupons.tenant_id,
        coupons.coupon_id,
        coupons.code,
        case
            when coupons.status = 'draft' then 'draft'
            when coupons.status = 'expired' or {{ visible('coupons.expires_at') }} then 'expired'
            when
                coupons.status = 'depleted'
                or coalesce(uses_per_coupon.use_count, 0) >= coupons.usage_limit
                then 'depleted'
            else coupons.status
        end as status,
        coupons.discount_type,
        cast(coupons.discount_value as numeric(14, 2)) as discount_value,
        coupons.buy_quantity,
        coupons.get_quantity,
        coupons.usage_limit,
        coupons.usage_limit_per_customer,
        cast(coupons.minimum_purchase_amount as numeric(14, 2)) as minimum_purchase_amount,
        coupons.minimum_quantity,
        coupons.restricted_collections,
        coupons.restricted_products,
        coupons.is_first_time_only,
        coupons.starts_at,
        coupons.expires_at,
        coalesce(uses_per_coupon.use_count, 0) as use_count,
        coalesce(uses_per_coupon.refused_count, 0) as refused_count,
        coalesce(uses_per_coupon.customer_count, 0) as customer_count,
        cast(coalesce(uses_per_coupon.discount_amount, 0) as numeric(14, 2)) as discount_amount,
        cast(
            coalesce(uses_per_coupon.refused_discount_amount, 0) as numeric(14, 2)
        ) as refused_discount_amount,
        cast(coalesce(uses_per_coupon.net_amount, 0) as numeric(14, 2)) as net_amount,
        tenants.currency,
        uses_per_coupon.last_used_at,
        coupons.updated_at
    from coupons
    -- every tenant that has raw rows stands in the seed; the loader holds that
    inner join tenants on coupons.tenant_id = tenants.tenant_id
    left join uses_per_coupon
        on
            coupons.tenant_id = uses_per_coupon.tenant_id
            and coupons.coupon_id = uses_per_coupon.coupon_id
)

select * from final
