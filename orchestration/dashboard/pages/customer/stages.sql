select
    transitioned_at,
    from_stage,
    to_stage,
    trigger_type
from marts.stage_transitions
where customer_id = :customer_id
order by transitioned_at desc, transition_id desc
limit :rows
