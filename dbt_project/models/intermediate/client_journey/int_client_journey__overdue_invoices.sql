{{ config(unique_key=['tenant_id', 'client_event_id']) }}

-- A later payment settles an overdue notice unless the two name different invoices. One payment
-- settles every notice before it; a second one settles nothing more.
with overdue_notices as (
    select * from {{ ref('int_client_journey__events') }}
    where
        event_type = 'invoice_overdue'
        and stage = 'billing'
),

payments as (
    select * from {{ ref('int_client_journey__events') }}
    where event_type = 'invoice_paid'
),

final as (
    select
        overdue_notices.tenant_id,
        overdue_notices.customer_id,
        overdue_notices.client_id,
        overdue_notices.client_event_id,
        overdue_notices.occurred_at as overdue_at,
        min(payments.occurred_at) as settled_at
    from overdue_notices
    left join payments
        on
            overdue_notices.tenant_id = payments.tenant_id
            and overdue_notices.client_id = payments.client_id
            and overdue_notices.event_number < payments.event_number
            and coalesce(overdue_notices.invoice_id = payments.invoice_id, true)
    group by
        overdue_notices.tenant_id,
        overdue_notices.customer_id,
        overdue_notices.client_id,
        overdue_notices.client_event_id,
        overdue_notices.occurred_at
)

select * from final
