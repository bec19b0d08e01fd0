select
    lower(risk_level) as risk_level,
    count(*) as clients
from marts.client_journey_scores
group by risk_level
order by max(risk_count) desc, risk_level
