with humanitix_tickets as (
    select * from {{ ref('stg_humanitix__tickets') }}
),

final as (
    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        'humanitix-ticket:' || ticket_id as refund_id,
        coalesce(cancelled_at, updated_at) as refunded_at,
        cast(total_amount as numeric(14, 2)) as amount
    from humanitix_tickets
    where is_refunded
)

select * from final
