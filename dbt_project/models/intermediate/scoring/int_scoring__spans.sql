{{ config(unique_key=['tenant_id', 'customer_id', 'started_at']) }}

-- Number, worth and date of the orders that count change only when somebody is first seen and when
-- an order comes, is refunded or stops counting: between two such instants they stand still.
with metrics as (
    select * from {{ ref('int_customers__metrics') }}
),

movements as (
    select * from {{ ref('int_orders__movements') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

changes as (
    select
        tenant_id,
        customer_id,
        first_seen_at as changed_at,
        0 as order_delta,
        0 as amount_tenant
    from metrics

    union all

    select
        tenant_id,
        customer_id,
        occurred_at as changed_at,
        order_delta,
        amount_tenant
    from movements
),

changes_per_instant as (
    select
        tenant_id,
        customer_id,
        changed_at,
        sum(order_delta) as order_delta,
        sum(amount_tenant) as amount
    from changes
    where {{ visible('changed_at') }}
    group by tenant_id, customer_id, changed_at
),

running as (
    select
        tenant_id,
        customer_id,
        changed_at as started_at,
        lead(changed_at) over so_far as ended_at,
        sum(order_delta) over so_far as order_count,
        sum(amount) over so_far as lifetime_value
    from changes_per_instant
    window so_far as (partition by customer_id, tenant_id order by changed_at)
),

-- An order that stops counting takes its date with it, so this is no running maximum.
final as (
    select
        running.tenant_id,
        running.customer_id,
        running.started_at,
        running.ended_at,
        cast(running.order_count as {{ dbt.type_bigint() }}) as order_count,
        cast(running.lifetime_value as numeric(14, 2)) as lifetime_value,
        max(orders.ordered_at) as last_purchase_at
    from running
    left join orders
        on
            running.tenant_id = orders.tenant_id
            and running.customer_id = orders.customer_id
            and orders.was_paid
            and running.started_at >= orders.ordered_at
            and (orders.uncounted_at is null or running.started_at < orders.uncounted_at)
    group by
        running.tenant_id,
        running.customer_id,
        running.started_at,
        running.ended_at,
        running.order_count,
        running.lifetime_value
)

select * from final
