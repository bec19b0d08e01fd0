{{ config(
    unique_key=['tenant_id', 'shop_id', 'phone'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

with purchases as (
    select * from {{ ref('int_shops__purchases') }}
    where purchase_number is not null
),

orders_per_network as (
    select
        tenant_id,
        shop_id,
        phone,
        network,
        row_number() over (
            partition by tenant_id, shop_id, phone
            order by count(*) desc, max(ordered_at) desc, network
        ) as preference
    from purchases
    where network is not null
    group by tenant_id, shop_id, phone, network
),

purchases_per_phone as (
    select
        tenant_id,
        shop_id,
        phone,
        max(shop_customer_id) as customer_id,
        min(ordered_at) as first_purchase_at,
        max(ordered_at) as last_purchase_at,
        count(*) as total_purchases,
        sum(net_amount) as total_spent_amount,
        max(slug) filter (where purchase_number = 1) as first_slug,
        max(currency) as currency
    from purchases
    group by tenant_id, shop_id, phone
),

final as (
    select
        purchases_per_phone.tenant_id,
        purchases_per_phone.shop_id,
        purchases_per_phone.phone,
        purchases_per_phone.customer_id,
        purchases_per_phone.first_purchase_at,
        purchases_per_phone.last_purchase_at,
        purchases_per_phone.total_purchases,
        cast(purchases_per_phone.total_spent_amount as numeric(14, 2)) as total_spent_amount,
        purchases_per_phone.currency,
        purchases_per_phone.total_purchases > 1 as is_repeat,
        purchases_per_phone.first_slug,
        orders_per_network.network as preferred_network
    from purchases_per_phone
    left join orders_per_network
        on
            purchases_per_phone.tenant_id = orders_per_network.tenant_id
            and purchases_per_phone.shop_id = orders_per_network.shop_id
            and purchases_per_phone.phone = orders_per_network.phone
            and orders_per_network.preference = 1
)

select * from final
