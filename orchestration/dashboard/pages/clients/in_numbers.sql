select
    clients,
    high_risk_clients,
    upsell_candidates,
    average_score
from marts.client_journey_overview
where clients > 0
