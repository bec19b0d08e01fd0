{{ config(
    unique_key=['tenant_id', 'transition_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'transitioned_at']}],
) }}

with transitions as (
    select * from {{ ref('int_lifecycle__transitions') }}
),

final as (
    select
        tenant_id,
        transition_id,
        customer_id,
        from_stage,
        to_stage,
        trigger_type,
        trigger_reference_id,
        transitioned_at
    from transitions
)

select * from final
