{{ config(unique_key=['tenant_id', 'trigger_type', 'trigger']) }}

-- An own row without an action takes the default one away.
with actions as (
    {{ tenant_rows('client_actions', per=['trigger_type', 'trigger']) }}
),

final as (
    select
        for_tenant_id as tenant_id,
        trigger_type,
        trigger,
        action,
        reason
    from actions
    where
        is_own = has_own
        and action is not null
)

select * from final
