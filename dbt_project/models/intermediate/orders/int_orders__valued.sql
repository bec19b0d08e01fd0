{{ config(unique_key=['tenant_id', 'order_id']) }}

-- One place decides an order's status and what it is worth as of the build. Only counted orders are
-- worth anything: what a pending, failed, refunded or cancelled order nets to is zero, once.
with orders as (
    select * from {{ ref('int_orders__rated') }}
),

refunds as (
    select * from {{ ref('int_orders__refunds') }}
),

refunds_per_order as (
    select
        tenant_id,
        order_id,
        sum(amount) as refund_amount,
        sum(amount_tenant) as refund_amount_tenant,
        min(refunded_at) filter (where is_fully_refunded) as fully_refunded_at
    from refunds
    group by tenant_id, order_id
),

with_status as (
    select
        orders.*,
        coalesce(refunds_per_order.refund_amount, 0) as refund_amount,
        coalesce(refunds_per_order.refund_amount_tenant, 0) as refund_amount_tenant,
        refunds_per_order.fully_refunded_at,
        case
            when orders.cancelled_at is not null then 'cancelled'
            when orders.is_failed then 'failed'
            when not orders.is_paid then 'pending'
            when refunds_per_order.fully_refunded_at is not null then 'refunded'
            when refunds_per_order.order_id is not null then 'partially_refunded'
            else 'paid'
        end as status
    from orders
    left join refunds_per_order
        on
            orders.tenant_id = refunds_per_order.tenant_id
            and orders.order_id = refunds_per_order.order_id
),

final as (
    select
        tenant_id,
        order_id,
        source,
        source_order_id,
        customer_id,
        status,
        status in ('paid', 'partially_refunded') as is_counted,
        is_paid and not is_failed as was_paid,
        ordered_at,
        ordered_on,
        -- the instant the order stopped counting, if it ever counted and stopped
        case
            when is_paid and not is_failed
                then least(
                    fully_refunded_at,
                    case when cancelled_at is not null then greatest(cancelled_at, ordered_at) end
                )
        end as uncounted_at,
        gross_amount,
        discount_amount,
        owed_amount,
        cast(refund_amount as numeric(14, 2)) as refund_amount,
        cast(
            case
                when status in ('paid', 'partially_refunded') then owed_amount - refund_amount
                else 0
            end as numeric(14, 2)
        ) as net_amount,
        currency,
        rate,
        cast(round(owed_amount * rate, 2) as numeric(14, 2)) as owed_amount_tenant,
        cast(
            case
                when status in ('paid', 'partially_refunded')
                    then round(owed_amount * rate, 2) - refund_amount_tenant
                else 0
            end as numeric(14, 2)
        ) as net_amount_tenant,
        tenant_currency,
        discount_codes,
        shop_id,
        slug,
        collection
    from with_status
)

select * from final
