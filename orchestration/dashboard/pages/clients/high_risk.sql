select
    customer_id,
    coalesce(client_name, client_id) as client_name,
    lower(risk_level) as risk_level,
    stage,
    replace(replace(risk_factors, '_', ' '), ',', ', ') as risk_factors,
    score,
    next_best_action,
    priority
from marts.high_risk_clients
order by risk_count desc, score, client_id
limit :rows
