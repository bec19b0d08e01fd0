{{ config(
    unique_key=['transaction_id', 'tenant_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'transaction_number'], 'unique': true}],
) }}

with movements as (
    select * from {{ ref('int_loyalty__movements') }}
),

final as (
    select
        tenant_id,
        movement_id as transaction_id,
        customer_id,
        movement_number as transaction_number,
        movement_type as transaction_type,
        points,
        balance_before,
        balance_after,
        reference_type,
        reference_id,
        expires_at,
        occurred_at
    from movements
)

-- What belongs to one customer stands together, so that a build of a few reads few pages.
select * from final
order by tenant_id, customer_id
