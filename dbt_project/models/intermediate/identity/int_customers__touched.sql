{{ config(unique_key=['tenant_id', 'customer_id']) }}

-- Everybody whom this build derives anew, under the old id and the new.
with identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
),

final as (
    select
        tenant_id,
        customer_id
    from identifiers

    union

    select
        tenant_id,
        customer_id
    from owners_before
    where customer_id is not null
)

select * from final
