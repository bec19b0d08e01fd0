{{ config(unique_key=['tenant_id', 'order_id']) }}

-- A phone that is nobody's (blocked, or seen with too many people) makes nobody a shop's customer:
-- its orders are the shop's, but neither first nor repeated purchases.
with orders as (
    select * from {{ ref('int_orders__valued') }}
    where source = 'shop'
),

shop_orders as (
    select * from {{ ref('int_orders__shops') }}
),

shop_phones as (
    select * from {{ ref('int_customers__identifiers') }}
    where identifier_type = 'shop_phone'
),

with_buyer as (
    select
        orders.tenant_id,
        orders.order_id,
        orders.source_order_id,
        orders.customer_id,
        orders.shop_id,
        orders.slug,
        shop_orders.phone,
        shop_phones.customer_id as shop_customer_id,
        shop_orders.network,
        orders.status,
        orders.is_counted,
        orders.is_counted and shop_phones.customer_id is not null as is_numbered,
        orders.ordered_at,
        orders.ordered_on,
        orders.net_amount_tenant as net_amount,
        orders.tenant_currency as currency
    from orders
    inner join shop_orders
        on
            orders.tenant_id = shop_orders.tenant_id
            and orders.order_id = shop_orders.order_id
    left join shop_phones
        on
            shop_orders.tenant_id = shop_phones.tenant_id
            and shop_orders.shop_id || ':' || shop_orders.phone = shop_phones.identifier
),

final as (
    select
        tenant_id,
        order_id,
        source_order_id,
        customer_id,
        shop_id,
        slug,
        phone,
        shop_customer_id,
        network,
        status,
        is_counted,
        ordered_at,
        ordered_on,
        case
            when is_numbered
                then row_number() over (
                    partition by tenant_id, shop_id, phone, is_numbered
                    order by ordered_at, order_id
                )
        end as purchase_number,
        net_amount,
        currency
    from with_buyer
)

select * from final
