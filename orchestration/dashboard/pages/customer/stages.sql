select
    transitioned_at,
    from_stage,
    to_stage,
    trigger_type,
    transition_id
from marts.stage_transitions
where customer_id = :customer_id
