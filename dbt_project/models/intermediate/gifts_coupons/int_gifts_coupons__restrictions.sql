{{ config(unique_key=['tenant_id', 'coupon_id', 'restricted_to', 'restriction']) }}

with coupons as (
    select * from {{ ref('stg_gifts_coupons__coupons') }}
),

all_restrictions as (
    {% for kind in ['collection', 'product'] -%}
        select
            coupons.tenant_id,
            coupons.coupon_id,
            '{{ kind }}' as restricted_to,
            trim({{ json_text_path('item.value', []) }}) as restriction
        from coupons
        cross join
            lateral {{ json_array_elements('coupons.restricted_' ~ kind ~ 's') }} as item (value)
        {% if not loop.last %}
            union all

        {% endif -%}
    {% endfor -%}
),

final as (
    select distinct
        tenant_id,
        coupon_id,
        restricted_to,
        restriction
    from all_restrictions
    where restriction <> ''
)

select * from final
