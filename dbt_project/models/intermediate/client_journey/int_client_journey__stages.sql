{{ config(unique_key=['tenant_id', 'stage']) }}

with stages as (
    {{ tenant_rows('client_stages', per=['stage']) }}
),

final as (
    select
        for_tenant_id as tenant_id,
        stage,
        stage_order,
        score_weight
    from stages
    where is_own = has_own
)

select * from final
