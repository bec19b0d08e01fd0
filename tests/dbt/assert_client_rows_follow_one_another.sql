-- A returned row is a client's score that ends before it begins, leaves a gap to the next, repeats
-- the one before, or is not the present one though nothing comes after it.
with client_journey_score_history as (
    select * from {{ ref('client_journey_score_history') }}
    where {{ is_touched('client_journey_score_history') }}
),

client_journey_scores as (
    select * from {{ ref('client_journey_scores') }}
    where {{ is_touched('client_journey_scores') }}
),

rows_with_neighbours as (
    select
        tenant_id,
        client_id,
        stage,
        risk_factors,
        score,
        valid_from,
        valid_to,
        lag(stage) over replay as previous_stage,
        lag(risk_factors) over replay as previous_risk_factors,
        lead(valid_from) over replay as next_valid_from
    from client_journey_score_history
    window replay as (partition by tenant_id, client_id order by valid_from)
)

select
    rows_with_neighbours.tenant_id,
    rows_with_neighbours.client_id,
    rows_with_neighbours.valid_from,
    rows_with_neighbours.valid_to,
    client_journey_scores.scored_at
from rows_with_neighbours
left join client_journey_scores
    on
        rows_with_neighbours.tenant_id = client_journey_scores.tenant_id
        and rows_with_neighbours.client_id = client_journey_scores.client_id
where
    rows_with_neighbours.valid_to <= rows_with_neighbours.valid_from
    or rows_with_neighbours.valid_to is distinct from rows_with_neighbours.next_valid_from
    or (
        rows_with_neighbours.stage = rows_with_neighbours.previous_stage
        and rows_with_neighbours.risk_factors
        is not distinct from rows_with_neighbours.previous_risk_factors
    )
    or (
        rows_with_neighbours.valid_to is null
        and (rows_with_neighbours.valid_from, rows_with_neighbours.score)
        is distinct from (client_journey_scores.scored_at, client_journey_scores.score)
    )
