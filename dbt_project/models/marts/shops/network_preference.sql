{{ config(unique_key=['tenant_id', 'shop_id', 'network']) }}

with purchases as (
    select * from {{ ref('shop_purchases') }}
    where
        is_counted
        and network is not null
),

shop_customers as (
    select * from {{ ref('shop_customers') }}
    where preferred_network is not null
),

orders_per_network as (
    select
        tenant_id,
        shop_id,
        network,
        count(*) as orders,
        sum(net_amount) as revenue_amount,
        max(currency) as currency
    from purchases
    group by tenant_id, shop_id, network
),

customers_per_network as (
    select
        tenant_id,
        shop_id,
        preferred_network,
        count(*) as customers
    from shop_customers
    group by tenant_id, shop_id, preferred_network
),

final as (
    select
        orders_per_network.tenant_id,
        orders_per_network.shop_id,
        orders_per_network.network,
        coalesce(customers_per_network.customers, 0) as customers,
        cast(
            cast(coalesce(customers_per_network.customers, 0) as numeric)
            / sum(customers_per_network.customers) over per_shop as numeric(5, 4)
        ) as customer_rate,
        orders_per_network.orders,
        cast(
            cast(orders_per_network.orders as numeric)
            / sum(orders_per_network.orders) over per_shop as numeric(5, 4)
        ) as order_rate,
        cast(orders_per_network.revenue_amount as numeric(14, 2)) as revenue_amount,
        orders_per_network.currency
    from orders_per_network
    left join customers_per_network
        on
            orders_per_network.tenant_id = customers_per_network.tenant_id
            and orders_per_network.shop_id = customers_per_network.shop_id
            and orders_per_network.network = customers_per_network.preferred_network
    window per_shop as (
        partition by orders_per_network.tenant_id, orders_per_network.shop_id
    )
)

select * from final
