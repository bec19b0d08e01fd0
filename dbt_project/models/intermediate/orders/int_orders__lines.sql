with shopify_orders as (
    select * from {{ ref('stg_shopify__orders') }}
),

collections_per_line as (
    select
        shopify_orders.tenant_id,
        shopify_orders.order_id,
        {{ json_text('line.value', 'id') }} as line_id,
        min({{ json_text('property.value', 'value') }}) as collection
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.line_items') }} as line (value)
    cross join
        lateral {{ json_array_elements(json_list("(line.value -> 'properties')")) }}
            as property (value)
    where {{ json_text('property.value', 'name') }} = 'collection'
    group by shopify_orders.tenant_id, shopify_orders.order_id, {{ json_text('line.value', 'id') }}
),

final as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        {{ json_text('line.value', 'id') }} as line_id,
        {{ json_text('line.value', 'product_id') }} as product_id,
        {{ json_text('line.value', 'sku') }} as sku,
        {{ json_text('line.value', 'title') }} as title,
        collections_per_line.collection,
        cast({{ json_number('line.value', 'quantity') }} as bigint) as quantity,
        cast(
            {{ json_number('line.value', 'price') }} * {{ json_number('line.value', 'quantity') }}
            - coalesce({{ json_number('line.value', 'total_discount') }}, 0)
            as numeric(14, 2)
        ) as amount
    from shopify_orders
    cross join lateral {{ json_array_elements('shopify_orders.line_items') }} as line (value)
    left join collections_per_line
        on
            shopify_orders.tenant_id = collections_per_line.tenant_id
            and shopify_orders.order_id = collections_per_line.order_id
            and {{ json_text('line.value', 'id') }} = collections_per_line.line_id
)

select * from final
