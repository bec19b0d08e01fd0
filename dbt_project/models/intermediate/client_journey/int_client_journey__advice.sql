{{ config(unique_key=['tenant_id', 'client_id']) }}

-- Advice changes when the action, its reason or its priority does.
with scores as (
    select * from {{ ref('int_client_journey__scores') }}
),

with_previous as (
    select
        scores.*,
        lag(next_best_action) over replay as previous_action,
        lag(reason) over replay as previous_reason,
        lag(priority) over replay as previous_priority
    from scores
    window replay as (partition by tenant_id, client_id order by valid_from)
),

changes as (
    select
        tenant_id,
        client_id,
        max(valid_from) as advised_at
    from with_previous
    where
        next_best_action is distinct from previous_action
        or reason is distinct from previous_reason
        or priority is distinct from previous_priority
    group by tenant_id, client_id
),

present_scores as (
    select * from {{ ref('int_client_journey__scores') }}
    where valid_to is null
),

final as (
    select
        present_scores.tenant_id,
        present_scores.customer_id,
        present_scores.client_id,
        present_scores.next_best_action,
        present_scores.priority,
        present_scores.reason,
        changes.advised_at,
        present_scores.recommended_actions,
        present_scores.risk_level,
        present_scores.risk_factors
    from present_scores
    inner join changes
        on
            present_scores.tenant_id = changes.tenant_id
            and present_scores.client_id = changes.client_id
    where present_scores.next_best_action is not null
)

select * from final
