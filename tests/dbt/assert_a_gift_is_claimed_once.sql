-- A returned row is a gift of which more than one claim was accepted.
select
    tenant_id,
    gift_id,
    count(*) as claim_count
from {{ ref('gift_claims') }}
where status = 'accepted'
group by tenant_id, gift_id
having count(*) > 1
