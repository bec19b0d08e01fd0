-- A returned row is a stay that ends before it begins, overlaps another stay of the same person in
-- the same segment, or gives a reason without an end.
with segment_memberships as (
    select * from {{ ref('segment_memberships') }}
),

spells_with_next as (
    select
        tenant_id,
        segment_id,
        customer_id,
        spell,
        added_at,
        removed_at,
        exit_reason,
        lead(added_at) over (
            partition by tenant_id, segment_id, customer_id order by added_at, spell
        ) as next_added_at
    from segment_memberships
)

select *
from spells_with_next
where
    removed_at <= added_at
    or (removed_at is null) <> (exit_reason is null)
    or (next_added_at is not null and coalesce(removed_at > next_added_at, true))
