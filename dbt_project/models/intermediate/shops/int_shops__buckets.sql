{{ config(unique_key=['tenant_id', 'dimension', 'bucket']) }}

with buckets as (
    {{ tenant_rows('shop_buckets', per=['dimension']) }}
),

final as (
    select
        for_tenant_id as tenant_id,
        dimension,
        bucket,
        min_value,
        max_value
    from buckets
    where is_own = has_own
)

select * from final
