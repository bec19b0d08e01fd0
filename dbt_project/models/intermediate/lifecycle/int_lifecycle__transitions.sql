{{ config(unique_key=['tenant_id', 'transition_id']) }}

with stages as (
    select * from {{ ref('int_lifecycle__stages') }}
),

with_previous as (
    select
        stages.*,
        lag(stage) over (
            partition by customer_id, tenant_id order by happened_at
        ) as from_stage
    from stages
),

final as (
    select
        tenant_id,
        {{ hash_id(['tenant_id', 'customer_id', timestamp_text('happened_at')]) }}
            as transition_id,
        customer_id,
        from_stage,
        stage as to_stage,
        trigger_type,
        trigger_reference_id,
        happened_at as transitioned_at
    from with_previous
    where from_stage is distinct from stage
)

select * from final
