{{ config(unique_key=['tenant_id', 'shop_id', 'month_of_year']) }}

with shops as (
    select * from {{ ref('shop_overview') }}
),

purchases as (
    select * from {{ ref('shop_purchases') }}
    where is_counted
),

months as (
    {%- for month in range(1, 13) %}
        select {{ month }} as month_of_year
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
),

dated as (
    select
        tenant_id,
        shop_id,
        net_amount,
        cast(extract(year from ordered_on) as integer) as ordered_in_year,
        cast(extract(month from ordered_on) as integer) as month_of_year
    from purchases
),

purchases_per_month as (
    select
        tenant_id,
        shop_id,
        month_of_year,
        count(distinct ordered_in_year) as years,
        count(*) as orders,
        sum(net_amount) as revenue_amount
    from dated
    group by tenant_id, shop_id, month_of_year
),

final as (
    select
        shops.tenant_id,
        shops.shop_id,
        months.month_of_year,
        coalesce(purchases_per_month.years, 0) as years,
        coalesce(purchases_per_month.orders, 0) as orders,
        cast(
            cast(coalesce(purchases_per_month.orders, 0) as numeric) / nullif(shops.orders, 0)
            as numeric(5, 4)
        ) as order_rate,
        cast(coalesce(purchases_per_month.revenue_amount, 0) as numeric(14, 2)) as revenue_amount,
        shops.currency
    from shops
    cross join months
    left join purchases_per_month
        on
            shops.tenant_id = purchases_per_month.tenant_id
            and shops.shop_id = purchases_per_month.shop_id
            and months.month_of_year = purchases_per_month.month_of_year
)

select * from final
