select
    identifier_type,
    identifier,
    is_primary,
    seen_count
from marts.customer_identities
where customer_id = :customer_id
order by is_primary desc, identifier_type, identifier
limit :rows
