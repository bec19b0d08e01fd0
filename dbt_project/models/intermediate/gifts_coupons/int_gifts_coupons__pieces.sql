{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'order_id', 'product_id', 'collection'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- What was bought with a code: products of a shop, or tickets, which are of no product and no
-- collection. Kept between builds beside the codes; an empty text stands for none.
with orders as (
    select * from {{ ref('int_orders__valued') }}
    where discount_codes is not null
),

lines as (
    select * from {{ ref('int_orders__lines') }}
),

eventbrite_attendees as (
    {{ owned_rows('stg_eventbrite__attendees', 'eventbrite_attendees') }}
),

humanitix_tickets as (
    {{ owned_rows('stg_humanitix__tickets', 'humanitix_tickets') }}
),

pieces as (
    select
        tenant_id,
        order_id,
        coalesce(trim(product_id), '') as product_id,
        coalesce(trim(collection), '') as collection,
        coalesce(quantity, 1) as quantity
    from lines

    union all

    select
        tenant_id,
        'eventbrite:' || order_id as order_id,
        '' as product_id,
        '' as collection,
        coalesce(quantity, 1) as quantity
    from eventbrite_attendees

    union all

    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        '' as product_id,
        '' as collection,
        1 as quantity
    from humanitix_tickets
),

final as (
    select
        orders.tenant_id,
        orders.customer_id,
        orders.order_id,
        pieces.product_id,
        pieces.collection,
        sum(pieces.quantity) as quantity
    from pieces
    -- leaves out orders without a code
    inner join orders
        on
            pieces.tenant_id = orders.tenant_id
            and pieces.order_id = orders.order_id
    group by
        orders.tenant_id,
        orders.customer_id,
        orders.order_id,
        pieces.product_id,
        pieces.collection
)

select * from final
