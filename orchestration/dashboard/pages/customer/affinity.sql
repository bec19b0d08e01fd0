select
    collection,
    score
from marts.collection_affinity
where customer_id = :customer_id
order by score desc, collection
