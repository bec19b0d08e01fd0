select
    actions.customer_id,
    coalesce(clients.client_name, actions.client_id) as client_name,
    actions.priority,
    actions.next_best_action,
    actions.reason,
    actions.advised_at
from marts.client_next_actions as actions
inner join marts.client_journey as clients
    on
        actions.tenant_id = clients.tenant_id
        and actions.client_id = clients.client_id
inner join marts.client_journey_scores as scores
    on
        actions.tenant_id = scores.tenant_id
        and actions.client_id = scores.client_id
order by scores.risk_count desc, scores.score, actions.client_id
limit :rows
