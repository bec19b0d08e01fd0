{{ config(unique_key=['tenant_id', 'refund_id']) }}

with humanitix_tickets as (
    {{ owned_rows('stg_humanitix__tickets', 'humanitix_tickets') }}
),

final as (
    select
        tenant_id,
        'humanitix:' || order_id as order_id,
        'humanitix-ticket:' || ticket_id as refund_id,
        coalesce(cancelled_at, updated_at) as refunded_at,
        total_amount as amount
    from humanitix_tickets
    where is_refunded
)

select * from final
