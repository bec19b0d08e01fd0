select
    scores.stage,
    count(*) as clients
from marts.client_journey_scores as scores
group by scores.stage, scores.stage_weight
order by scores.stage_weight, scores.stage
