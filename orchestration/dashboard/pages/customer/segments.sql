select
    segments.segment_name,
    memberships.added_at,
    memberships.removed_at,
    memberships.exit_reason,
    memberships.segment_id,
    memberships.spell
from marts.segment_memberships as memberships
inner join marts.customer_segments as segments
    on
        memberships.tenant_id = segments.tenant_id
        and memberships.segment_id = segments.segment_id
where memberships.customer_id = :customer_id
