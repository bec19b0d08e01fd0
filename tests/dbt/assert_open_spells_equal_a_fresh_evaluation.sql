-- A returned row is a customer who belongs to a segment without qualifying, or qualifies and does
-- not belong though no re-entry policy keeps them out. Tenants whose spells were recorded by a
-- later build are left out: an earlier build leaves them as they are.
with segment_memberships as (
    select * from {{ ref('segment_memberships') }}
),

evaluated as (
    select * from {{ ref('int_segments__evaluated') }}
),

tenants_recorded_later as (
    select tenant_id
    from segment_memberships
    group by tenant_id
    having max(greatest(added_at, removed_at)) > {{ as_of() }}
),

open_spells as (
    select
        tenant_id,
        segment_id,
        customer_id
    from segment_memberships
    where removed_at is null
),

people_kept_out as (
    select
        evaluated.tenant_id,
        evaluated.segment_id,
        evaluated.customer_id
    from evaluated
    inner join segment_memberships
        on
            evaluated.tenant_id = segment_memberships.tenant_id
            and evaluated.segment_id = segment_memberships.segment_id
            and evaluated.customer_id = segment_memberships.customer_id
    where
        evaluated.reentry_policy = 'once'
        or (
            evaluated.reentry_policy = 'cooldown'
            and {{ add_days(
                'segment_memberships.removed_at', 'evaluated.reentry_cooldown_days'
            ) }} > {{ as_of() }}
        )
),

compared as (
    select
        coalesce(open_spells.tenant_id, evaluated.tenant_id) as tenant_id,
        coalesce(open_spells.segment_id, evaluated.segment_id) as segment_id,
        coalesce(open_spells.customer_id, evaluated.customer_id) as customer_id,
        open_spells.customer_id is not null as belongs,
        evaluated.customer_id is not null as qualifies
    from open_spells
    full outer join evaluated
        on
            open_spells.tenant_id = evaluated.tenant_id
            and open_spells.segment_id = evaluated.segment_id
            and open_spells.customer_id = evaluated.customer_id
)

select compared.*
from compared
left join tenants_recorded_later on compared.tenant_id = tenants_recorded_later.tenant_id
left join people_kept_out
    on
        compared.tenant_id = people_kept_out.tenant_id
        and compared.segment_id = people_kept_out.segment_id
        and compared.customer_id = people_kept_out.customer_id
where
    tenants_recorded_later.tenant_id is null
    and compared.belongs <> compared.qualifies
    and (compared.belongs or people_kept_out.customer_id is null)
