{{ config(
    unique_key=['tenant_id', 'gift_id'],
    indexes=[{'columns': ['tenant_id', 'code'], 'unique': true}],
) }}

-- Over all gifts in every build: a gift hangs on an order that may be anybody's, and who gives is
-- the owner of the e-mail, else whoever placed that order.
with gifts as (
    select * from {{ ref('stg_gifts_coupons__gifts') }}
),

gift_codes as (
    select * from {{ ref('stg_gifts_coupons__gift_codes') }}
),

orders as (
    select * from {{ ref('orders') }}
),

people as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

tenant_settings as (
    select * from {{ ref('int_tenants__settings') }}
),

-- Sources may use the same number; the first of them by name is meant.
named_orders as (
    select
        gifts.tenant_id,
        gifts.gift_id,
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.is_counted or orders.uncounted_at is not null as was_paid,
        case
            when orders.status in ('refunded', 'cancelled')
                then coalesce(orders.uncounted_at, gifts.created_at)
        end as ended_at,
        row_number() over (
            partition by gifts.tenant_id, gifts.gift_id
            order by orders.order_id
        ) as choice
    from gifts
    inner join orders
        on
            gifts.tenant_id = orders.tenant_id
            and gifts.order_id = orders.source_order_id
),

-- A gift that names no order is paid for; one whose order nobody knows waits for it.
dated_gifts as (
    select
        gifts.tenant_id,
        gifts.gift_id,
        coalesce(people.customer_id, named_orders.customer_id) as customer_id,
        gift_codes.code,
        gifts.order_id,
        gifts.sender_email,
        gifts.sender_name,
        gifts.recipient_email,
        gifts.recipient_name,
        gifts.message,
        gifts.created_at,
        greatest(gifts.scheduled_delivery_at, gifts.created_at, named_orders.ordered_at) as due_at,
        gifts.order_id is null or coalesce(named_orders.was_paid, false) as is_paid,
        named_orders.ended_at,
        {{ end_of_day(
            'cast('
            ~ dbt.dateadd(
                'day',
                'cast(tenant_settings.gift_expiry_days as integer)',
                tenant_date('gifts.created_at', 'tenant_settings.time_zone')
            )
            ~ ' as date)',
            'tenant_settings.time_zone'
        ) }} as expires_at
    from gifts
    -- every tenant that has raw rows stands in the seed; the loader holds that
    inner join tenant_settings on gifts.tenant_id = tenant_settings.tenant_id
    left join gift_codes
        on
            gifts.tenant_id = gift_codes.tenant_id
            and gifts.gift_id = gift_codes.gift_id
    left join named_orders
        on
            gifts.tenant_id = named_orders.tenant_id
            and gifts.gift_id = named_orders.gift_id
            and named_orders.choice = 1
    left join people
        on
            gifts.tenant_id = people.tenant_id
            and 'email:' || gifts.sender_email = people.identifier_key
),

final as (
    select
        tenant_id,
        gift_id,
        customer_id,
        code,
        order_id,
        sender_email,
        sender_name,
        recipient_email,
        recipient_name,
        message,
        created_at,
        due_at,
        -- null as long as it cannot be delivered at all
        case
            when is_paid and code is not null and due_at < least(expires_at, ended_at) then due_at
        end as delivery_at,
        case when ended_at < expires_at then ended_at end as cancelled_at,
        expires_at
    from dated_gifts
)

select * from final
