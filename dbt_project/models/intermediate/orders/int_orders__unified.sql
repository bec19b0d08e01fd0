{{ config(unique_key=['tenant_id', 'order_id']) }}

-- Test orders end here: they are counted nowhere.
with shopify_orders as (
    select * from {{ ref('int_orders__shopify') }}
),

eventbrite_orders as (
    select * from {{ ref('int_orders__eventbrite') }}
),

humanitix_orders as (
    select * from {{ ref('int_orders__humanitix') }}
),

shop_orders as (
    select * from {{ ref('int_orders__shops') }}
),

touchpoint_purchases as (
    select * from {{ ref('int_orders__touchpoint_purchases') }}
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

order_collections as (
    select * from {{ ref('int_orders__collections') }}
),

{% set text = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
all_orders as (
    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        ordered_at,
        cancelled_at,
        is_failed,
        is_paid,
        gross_amount,
        discount_amount,
        currency,
        discount_codes,
        {{ text }} as shop_id,
        {{ text }} as slug,
        {{ text }} as collection
    from shopify_orders
    where not is_test

    union all

    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        ordered_at,
        cancelled_at,
        is_failed,
        is_paid,
        gross_amount,
        discount_amount,
        currency,
        discount_codes,
        {{ text }} as shop_id,
        {{ text }} as slug,
        {{ text }} as collection
    from eventbrite_orders
    where not is_test

    union all

    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        ordered_at,
        cancelled_at,
        is_failed,
        is_paid,
        gross_amount,
        discount_amount,
        currency,
        discount_codes,
        {{ text }} as shop_id,
        {{ text }} as slug,
        {{ text }} as collection
    from humanitix_orders
    where not is_test

    union all

    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        ordered_at,
        cancelled_at,
        is_failed,
        is_paid,
        gross_amount,
        discount_amount,
        currency,
        {{ text }} as discount_codes,
        shop_id,
        slug,
        {{ text }} as collection
    from shop_orders
    where not is_test

    union all

    select
        touchpoint_purchases.tenant_id,
        touchpoint_purchases.order_id,
        'touchpoint' as source,
        touchpoint_purchases.touchpoint_id as source_order_id,
        touchpoint_purchases.customer_id,
        touchpoint_purchases.occurred_at as ordered_at,
        cast(null as {{ type_timestamptz() }}) as cancelled_at,
        false as is_failed,
        true as is_paid,
        coalesce(touchpoint_purchases.value_amount, 0) as gross_amount,
        0 as discount_amount,
        tenants.currency,
        {{ text }} as discount_codes,
        {{ text }} as shop_id,
        {{ text }} as slug,
        touchpoint_purchases.collection
    from touchpoint_purchases
    -- every tenant that has raw rows stands in the seed; the loader holds that
    inner join tenants on touchpoint_purchases.tenant_id = tenants.tenant_id
),

final as (
    select
        all_orders.tenant_id,
        all_orders.order_id,
        all_orders.source,
        all_orders.source_order_id,
        all_orders.customer_id,
        all_orders.ordered_at,
        {{ visible_at('all_orders.cancelled_at') }} as cancelled_at,
        all_orders.is_failed,
        all_orders.is_paid,
        -- rounded so that what is owed and what was taken off are together what was asked for
        cast(
            round(all_orders.gross_amount - all_orders.discount_amount, 2)
            + round(all_orders.discount_amount, 2)
            as numeric(14, 2)
        ) as gross_amount,
        cast(all_orders.discount_amount as numeric(14, 2)) as discount_amount,
        cast(all_orders.gross_amount - all_orders.discount_amount as numeric(14, 2)) as owed_amount,
        all_orders.currency,
        all_orders.discount_codes,
        all_orders.shop_id,
        all_orders.slug,
        coalesce(all_orders.collection, order_collections.collection) as collection,
        tenants.currency as tenant_currency,
        {{ tenant_date('all_orders.ordered_at', 'tenants.time_zone') }} as ordered_on
    from all_orders
    -- every tenant that has raw rows stands in the seed; the loader holds that
    inner join tenants on all_orders.tenant_id = tenants.tenant_id
    left join order_collections
        on
            all_orders.tenant_id = order_collections.tenant_id
            and all_orders.order_id = order_collections.order_id
    where {{ visible('all_orders.ordered_at') }}
)

select * from final
