-- A returned row is a shop whose orders or revenue are not those of its counted orders, or whose
-- customers' groups or months do not add up to them.
with orders as (
    select * from {{ ref('orders') }}
    where
        source = 'shop'
        and is_counted
),

shop_overview as (
    select * from {{ ref('shop_overview') }}
),

purchase_frequency as (
    select * from {{ ref('purchase_frequency') }}
),

purchase_decay as (
    select * from {{ ref('purchase_decay') }}
),

seasonal_sales as (
    select * from {{ ref('seasonal_sales') }}
),

orders_per_shop as (
    select
        tenant_id,
        shop_id,
        count(*) as orders,
        sum(net_amount_tenant) as revenue_amount
    from orders
    group by tenant_id, shop_id
),

customers_by_frequency as (
    select
        tenant_id,
        shop_id,
        sum(customers) as customers
    from purchase_frequency
    group by tenant_id, shop_id
),

customers_by_decay as (
    select
        tenant_id,
        shop_id,
        sum(customers) as customers
    from purchase_decay
    group by tenant_id, shop_id
),

orders_by_month as (
    select
        tenant_id,
        shop_id,
        sum(orders) as orders,
        sum(revenue_amount) as revenue_amount
    from seasonal_sales
    group by tenant_id, shop_id
)

select
    coalesce(shop_overview.tenant_id, orders_per_shop.tenant_id) as tenant_id,
    coalesce(shop_overview.shop_id, orders_per_shop.shop_id) as shop_id,
    shop_overview.orders,
    orders_per_shop.orders as counted_orders,
    shop_overview.revenue_amount,
    orders_per_shop.revenue_amount as net_amount,
    shop_overview.customers,
    customers_by_frequency.customers as customers_by_frequency,
    customers_by_decay.customers as customers_by_decay,
    orders_by_month.orders as orders_by_month
from shop_overview
full outer join orders_per_shop
    on
        shop_overview.tenant_id = orders_per_shop.tenant_id
        and shop_overview.shop_id = orders_per_shop.shop_id
left join customers_by_frequency
    on
        shop_overview.tenant_id = customers_by_frequency.tenant_id
        and shop_overview.shop_id = customers_by_frequency.shop_id
left join customers_by_decay
    on
        shop_overview.tenant_id = customers_by_decay.tenant_id
        and shop_overview.shop_id = customers_by_decay.shop_id
left join orders_by_month
    on
        shop_overview.tenant_id = orders_by_month.tenant_id
        and shop_overview.shop_id = orders_by_month.shop_id
where
    shop_overview.tenant_id is null
    or shop_overview.orders <> coalesce(orders_per_shop.orders, 0)
    or shop_overview.revenue_amount <> coalesce(orders_per_shop.revenue_amount, 0)
    or shop_overview.customers is distinct from customers_by_frequency.customers
    or shop_overview.customers is distinct from customers_by_decay.customers
    or shop_overview.orders is distinct from orders_by_month.orders
    or shop_overview.revenue_amount is distinct from orders_by_month.revenue_amount
