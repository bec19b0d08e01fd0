{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- Published ids that nobody has any more, whose owner asked to be forgotten. A request alone ends
-- nothing: the id is gone once the person's records are.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
    where customer_id is not null
),

erasure_requests as (
    select * from {{ ref('stg_privacy__erasure_requests') }}
),

customers as (
    select * from {{ ref('customers') }}
),

addresses as (
    select
        tenant_id,
        'email:' || email as identifier_key
    from erasure_requests
    where email is not null

    union

    select
        tenant_id,
        'phone:' || phone as identifier_key
    from {{ ref('stg_privacy__erasure_requests') }}
    where phone is not null
),

final as (
    select distinct
        owners_before.tenant_id,
        owners_before.customer_id
    from addresses
    inner join owners_before
        on
            addresses.tenant_id = owners_before.tenant_id
            and addresses.identifier_key = owners_before.identifier_key
    where not exists (
        select 1
        from customers
        where
            owners_before.tenant_id = customers.tenant_id
            and owners_before.customer_id = customers.customer_id
    )
)

select * from final
