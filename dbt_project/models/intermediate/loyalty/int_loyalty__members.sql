with events as (
    select * from {{ ref('int_loyalty__events') }}
),

members as (
    select
        tenant_id,
        customer_id,
        occurred_at as joined_at,
        {{ hash_id(['tenant_id', 'customer_id']) }} as code_hash
    from events
    where event_number = 1
),

-- Should two members of a tenant draw the same code, the one who joined later draws again.
draws as (
    select
        tenant_id,
        customer_id,
        joined_at,
        code_hash,
        row_number() over (
            partition by tenant_id, {{ referral_code('code_hash') }}
            order by joined_at, customer_id
        ) as draw
    from members
),

final_hashes as (
    select
        tenant_id,
        customer_id,
        joined_at,
        case when draw = 1 then code_hash else {{ hash_id(['code_hash', 'draw']) }} end as code_hash
    from draws
),

final as (
    select
        tenant_id,
        customer_id,
        joined_at,
        {{ referral_code('code_hash') }} as referral_code
    from final_hashes
)

select * from final
