{{ config(unique_key=['tenant_id', 'customer_id', 'event_number']) }}

with lots as (
    select * from {{ ref('int_loyalty__lots') }}
),

balances as (
    select * from {{ ref('int_loyalty__balances') }}
),

points_per_customer as (
    select
        tenant_id,
        customer_id,
        sum(points) as opened_points
    from lots
    group by tenant_id, customer_id
),

nets_per_customer as (
    select
        tenant_id,
        customer_id,
        sum(net_after - net_before) as net_points
    from balances
    group by tenant_id, customer_id
),

-- Oldest first: of all points ever opened, so many are gone, and the lots beyond that are open.
final as (
    select
        lots.tenant_id,
        lots.customer_id,
        lots.event_number,
        lots.points,
        cast(
            least(
                lots.points,
                lots.points_through
                - (points_per_customer.opened_points - nets_per_customer.net_points)
            ) as bigint
        ) as remaining_points,
        lots.opened_at,
        lots.expires_at
    from lots
    inner join points_per_customer
        on
            lots.tenant_id = points_per_customer.tenant_id
            and lots.customer_id = points_per_customer.customer_id
    inner join nets_per_customer
        on
            lots.tenant_id = nets_per_customer.tenant_id
            and lots.customer_id = nets_per_customer.customer_id
    where
        lots.points_through
        > points_per_customer.opened_points - nets_per_customer.net_points
)

select * from final
