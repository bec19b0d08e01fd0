select
    identifier_type,
    identifier,
    is_primary,
    seen_count,
    not is_primary as is_other
from marts.customer_identities
where customer_id = :customer_id
