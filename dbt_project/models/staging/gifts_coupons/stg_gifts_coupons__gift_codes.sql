-- A code is a fact of its gift, like the number on a ticket: it shows whenever the gift does.
with gift_codes as (
    select * from {{ source('outbox', 'gift_codes') }}
),

final as (
    select
        tenant_id,
        gift_id,
        code
    from gift_codes
)

select * from final
