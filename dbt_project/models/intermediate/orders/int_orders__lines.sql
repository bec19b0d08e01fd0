{{ config(unique_key=['tenant_id', 'order_id', 'line_number']) }}

with shopify_orders as (
    {{ owned_rows('stg_shopify__orders', 'shopify_orders') }}
),

lines as (
    select
        shopify_orders.tenant_id,
        'shopify:' || shopify_orders.order_id as order_id,
        line.place as line_number,
        line.value as line
    from shopify_orders
    cross join
        lateral {{ numbered_elements('shopify_orders.line_items') }} as line (value, place)
),

collections_per_line as (
    select
        lines.tenant_id,
        lines.order_id,
        lines.line_number,
        min({{ json_text('property.value', 'value') }}) as collection
    from lines
    cross join
        lateral {{ json_array_elements(json_list("(lines.line -> 'properties')")) }}
            as property (value)
    where {{ json_text('property.value', 'name') }} = 'collection'
    group by lines.tenant_id, lines.order_id, lines.line_number
),

final as (
    select
        lines.tenant_id,
        lines.order_id,
        lines.line_number,
        {{ json_text('lines.line', 'id') }} as line_id,
        {{ json_text('lines.line', 'product_id') }} as product_id,
        {{ json_text('lines.line', 'sku') }} as sku,
        {{ json_text('lines.line', 'title') }} as title,
        collections_per_line.collection,
        cast({{ json_number('lines.line', 'quantity') }} as bigint) as quantity,
        cast(
            {{ json_number('lines.line', 'price') }} * {{ json_number('lines.line', 'quantity') }}
            - coalesce({{ json_number('lines.line', 'total_discount') }}, 0)
            as numeric(14, 2)
        ) as amount
    from lines
    left join collections_per_line
        on
            lines.tenant_id = collections_per_line.tenant_id
            and lines.order_id = collections_per_line.order_id
            and lines.line_number = collections_per_line.line_number
)

select * from final
