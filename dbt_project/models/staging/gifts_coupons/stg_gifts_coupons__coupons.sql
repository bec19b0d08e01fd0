-- What its source changed later than `as_of` is shown as it was before, as far as that was loaded.
with raw_coupons as (
    select * from {{ source('raw', 'coupons') }}
),

versions as (
    select
        *,
        row_number() over (
            partition by tenant_id, id
            order by _is_current desc, updated_at desc, _load_id desc, _line desc
        ) as recency
    from raw_coupons
    where updated_at is null or {{ visible('updated_at') }}
),

current_coupons as (
    select *
    from versions
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
