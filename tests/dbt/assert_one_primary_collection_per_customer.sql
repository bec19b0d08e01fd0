-- A returned row is a customer with affinity scores and none, or several, of them primary, or one
-- whose primary score is not the highest.
with collection_affinity as (
    select * from {{ ref('collection_affinity') }}
    where {{ is_touched('collection_affinity') }}
)

select
    tenant_id,
    customer_id
from collection_affinity
group by tenant_id, customer_id
having
    count(*) filter (where is_primary) <> 1
    or max(score) filter (where is_primary) < max(score)
