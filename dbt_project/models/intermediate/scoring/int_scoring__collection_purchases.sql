{{ config(unique_key=['tenant_id', 'order_id', 'collection']) }}

-- A purchase is a counted order, so a test, pending, failed, cancelled or refunded order speaks for
-- no collection, nor does a touchpoint that stands for it. A purchase touchpoint stands for the
-- order that it names, or for the order made from it. Sources may use the same number; its own
-- customer's order is meant then, else the first of them by name. Where touchpoints name a
-- collection of the tenant's, the order's lines do not count again.
with orders as (
    select * from {{ ref('int_orders__valued') }}
),

order_lines as (
    select * from {{ ref('int_orders__lines') }}
),

touchpoints as (
    {{ owned_rows('stg_touchpoints__touchpoints', 'touchpoints') }}
),

collections as (
    select * from {{ ref('int_scoring__collections') }}
),

purchase_touchpoints as (
    select
        tenant_id,
        touchpoint_id,
        customer_id,
        collection,
        case
            when reference_type = 'order' and reference_id is not null then 'order:' || reference_id
            else 'touchpoint:' || touchpoint_id
        end as purchase_key
    from touchpoints
    where touchpoint_type = 'purchase'
),

keyed_orders as (
    select
        orders.tenant_id,
        orders.order_id,
        orders.customer_id,
        orders.is_counted,
        case
            when orders.source = 'touchpoint' then purchase_touchpoints.purchase_key
            else 'order:' || orders.source_order_id
        end as purchase_key
    from orders
    left join purchase_touchpoints
        on
            orders.tenant_id = purchase_touchpoints.tenant_id
            and orders.source = 'touchpoint'
            and orders.source_order_id = purchase_touchpoints.touchpoint_id
),

-- Drops the touchpoints of test orders.
named_orders as (
    select
        purchase_touchpoints.tenant_id,
        purchase_touchpoints.collection,
        keyed_orders.order_id,
        keyed_orders.customer_id,
        keyed_orders.is_counted,
        row_number() over (
            partition by purchase_touchpoints.touchpoint_id, purchase_touchpoints.tenant_id
            order by
                case
                    when keyed_orders.customer_id = purchase_touchpoints.customer_id then 1
                    else 2
                end,
                keyed_orders.order_id
        ) as choice
    from purchase_touchpoints
    inner join keyed_orders
        on
            purchase_touchpoints.tenant_id = keyed_orders.tenant_id
            and purchase_touchpoints.purchase_key = keyed_orders.purchase_key
),

-- Drops touchpoints without a collection, and collections that are not the tenant's.
collections_of_touchpoints as (
    select distinct
        named_orders.tenant_id,
        named_orders.order_id,
        named_orders.customer_id,
        named_orders.collection
    from named_orders
    inner join collections
        on
            named_orders.tenant_id = collections.tenant_id
            and named_orders.collection = collections.collection
    where
        named_orders.choice = 1
        and named_orders.is_counted
),

-- Drops lines of orders that do not count, and collections that are not the tenant's.
collections_of_lines as (
    select distinct
        keyed_orders.tenant_id,
        keyed_orders.order_id,
        keyed_orders.customer_id,
        order_lines.collection
    from order_lines
    inner join keyed_orders
        on
            order_lines.tenant_id = keyed_orders.tenant_id
            and order_lines.order_id = keyed_orders.order_id
    inner join collections
        on
            order_lines.tenant_id = collections.tenant_id
            and order_lines.collection = collections.collection
    where
        keyed_orders.is_counted
        and not exists (
            select 1
            from collections_of_touchpoints
            where
                collections_of_touchpoints.tenant_id = order_lines.tenant_id
                and collections_of_touchpoints.order_id = order_lines.order_id
        )
),

final as (
    select
        tenant_id,
        order_id,
        collection,
        customer_id
    from collections_of_touchpoints
    union all
    select
        tenant_id,
        order_id,
        collection,
        customer_id
    from collections_of_lines
)

select * from final
