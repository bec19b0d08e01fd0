{{ config(unique_key=['tenant_id', 'customer_id', 'happened_at']) }}

-- What was known of the customer at each of its instants.
with instants as (
    select * from {{ ref('int_lifecycle__instants') }}
    where {{ visible('happened_at') }}
),

movements as (
    select * from {{ ref('int_orders__movements') }}
),

orders as (
    select * from {{ ref('int_orders__valued') }}
),

engaged_runs as (
    select * from {{ ref('int_lifecycle__engaged_runs') }}
),

leads as (
    select * from {{ ref('int_customers__leads') }}
),

manual_changes as (
    select * from {{ ref('int_lifecycle__manual_changes') }}
),

movements_per_instant as (
    select
        tenant_id,
        customer_id,
        occurred_at,
        sum(order_delta) as order_delta,
        sum(amount_tenant) as amount
    from movements
    group by tenant_id, customer_id, occurred_at
),

-- An order that stops counting takes its date with it, so this is no running maximum.
last_purchases as (
    select
        instants.tenant_id,
        instants.customer_id,
        instants.happened_at,
        max(orders.ordered_at) as last_purchase_at
    from instants
    -- drops the instants without a counted order
    inner join orders
        on
            instants.tenant_id = orders.tenant_id
            and instants.customer_id = orders.customer_id
            and orders.was_paid
            and instants.happened_at >= orders.ordered_at
            and (orders.uncounted_at is null or instants.happened_at < orders.uncounted_at)
    group by instants.tenant_id, instants.customer_id, instants.happened_at
),

running as (
    select
        instants.tenant_id,
        instants.customer_id,
        instants.happened_at,
        instants.trigger_type,
        instants.trigger_reference_id,
        coalesce(sum(movements_per_instant.order_delta) over so_far, 0) as order_count,
        coalesce(sum(movements_per_instant.amount) over so_far, 0) as lifetime_value,
        max(engaged_runs.run_number) over so_far as run_number,
        max(engaged_runs.run_ended_at) over so_far as run_ended_at
    from instants
    left join movements_per_instant
        on
            instants.tenant_id = movements_per_instant.tenant_id
            and instants.customer_id = movements_per_instant.customer_id
            and instants.happened_at = movements_per_instant.occurred_at
    left join engaged_runs
        on
            instants.tenant_id = engaged_runs.tenant_id
            and instants.customer_id = engaged_runs.customer_id
            and instants.happened_at = engaged_runs.run_started_at
    window so_far as (
        partition by instants.customer_id, instants.tenant_id
        order by instants.happened_at
    )
),

final as (
    select
        running.tenant_id,
        running.customer_id,
        running.happened_at,
        running.trigger_type,
        running.trigger_reference_id,
        manual_changes.stage as manual_stage,
        manual_changes.changed_at as manual_changed_at,
        running.order_count,
        cast(running.lifetime_value as numeric(14, 2)) as lifetime_value,
        running.run_number,
        {{ days_between(
            'least(running.run_ended_at, running.happened_at)', 'running.happened_at'
        ) }} as days_since_engagement,
        {{ days_between('last_purchases.last_purchase_at', 'running.happened_at') }}
            as days_since_purchase,
        coalesce(leads.became_lead_at <= running.happened_at, false) as is_lead,
        coalesce(leads.followed_up_at <= running.happened_at, false)
            as is_followed_up
    from running
    left join last_purchases
        on
            running.tenant_id = last_purchases.tenant_id
            and running.customer_id = last_purchases.customer_id
            and running.happened_at = last_purchases.happened_at
    left join leads
        on
            running.tenant_id = leads.tenant_id
            and running.customer_id = leads.customer_id
    left join manual_changes
        on
            running.tenant_id = manual_changes.tenant_id
            and running.customer_id = manual_changes.customer_id
            and running.happened_at >= manual_changes.changed_at
            and (
                manual_changes.next_changed_at is null
                or running.happened_at < manual_changes.next_changed_at
            )
)

select * from final
