select
    customer_id,
    coalesce(client_name, client_id) as client_name,
    email,
    is_current,
    last_became_at,
    case when not is_current then last_left_at end as last_left_at
from marts.upsell_candidates
order by is_current desc, last_became_at desc, client_id
limit :rows
