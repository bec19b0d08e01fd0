{{ config(unique_key=['tenant_id', 'client_id', 'valid_from', 'trigger_type', 'trigger']) }}

-- What stage and risks of a span call for, in order; an action that an earlier trigger called for
-- is not called for twice.
{% set risk_factors = [
    'low_engagement',
    'late_invoices',
    'negative_sentiment',
    'slow_project_progress',
    'low_feature_usage',
    'high_support_tickets',
] -%}
with spans as (
    select * from {{ ref('int_client_journey__spans') }}
),

risk_factors as (
    select * from {{ ref('int_client_journey__risk_factors') }}
),

actions as (
    select * from {{ ref('int_client_journey__actions') }}
),

all_triggers as (
    {% for risk_factor in risk_factors -%}
        select
            tenant_id,
            client_id,
            valid_from,
            'risk' as trigger_type,
            '{{ risk_factor }}' as trigger
        from spans
        where has_{{ risk_factor }}

        union all

    {% endfor -%}
    select
        tenant_id,
        client_id,
        valid_from,
        'stage' as trigger_type,
        stage as trigger
    from spans
),

with_action as (
    select
        all_triggers.tenant_id,
        all_triggers.client_id,
        all_triggers.valid_from,
        all_triggers.trigger_type,
        all_triggers.trigger,
        -- the stage comes before every risk
        case when all_triggers.trigger_type = 'risk' then risk_factors.risk_order end as risk_order,
        actions.action,
        actions.reason
    from all_triggers
    left join risk_factors
        on
            all_triggers.tenant_id = risk_factors.tenant_id
            and all_triggers.trigger = risk_factors.risk_factor
    left join actions
        on
            all_triggers.tenant_id = actions.tenant_id
            and all_triggers.trigger_type = actions.trigger_type
            and all_triggers.trigger = actions.trigger
),

final as (
    select
        with_action.*,
        action is not null
        and row_number() over (
            partition by tenant_id, client_id, valid_from, action
            order by risk_order asc nulls first, trigger
        ) = 1 as is_recommended,
        row_number() over (
            partition by tenant_id, client_id, valid_from
            order by
                case when action is null then 2 else 1 end,
                risk_order asc nulls first,
                trigger
        ) as place
    from with_action
)

select * from final
