-- A coupon has no date but that of its last change, so its newest version that is visible holds.
with raw_coupons as (
    select * from {{ source('raw', 'coupons') }}
),

visible_versions as (
    select
        raw_coupons.*,
        row_number() over (
            partition by id, tenant_id
            order by updated_at desc nulls last, _load_id desc, _line desc
        ) as recency
    from raw_coupons
    where updated_at is null or {{ visible('updated_at') }}
),

current_coupons as (
    select * from visible_versions
    where recency = 1
),

final as (
    select
        tenant_id,
        id as coupon_id,
        upper(trim(code)) as code,
        discount_type,
        value as discount_value,
        buy_quantity,
        get_quantity,
        usage_limit,
        usage_limit_per_customer,
        minimum_purchase_amount,
        minimum_quantity,
        {{ json_list('restricted_collections') }} as restricted_collections,
        {{ json_list('restricted_products') }} as restricted_products,
        coalesce(first_time_only, false) as is_first_time_only,
        starts_at,
        expires_at,
        status,
        updated_at,
        _load_id as load_id,
        _loaded_at as loaded_at
    from current_coupons
)

select * from final
