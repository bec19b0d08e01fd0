{{ config(
    unique_key=['tenant_id', 'segment_id', 'customer_id', 'spell'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- Kept state: what becomes of the recorded spells, and those that begin with this build.
with carried_spells as (
    select * from {{ ref('int_segments__carried_spells') }}
),

evaluated as (
    select * from {{ ref('int_segments__evaluated') }}
),

static_stays as (
    select * from {{ ref('int_segments__static_stays') }}
),

tenants_recorded_later as (
    select distinct tenant_id
    from carried_spells
    where is_recorded_later
),

recorded_members as (
    select
        tenant_id,
        segment_id,
        customer_id,
        max(spell) as last_spell,
        max(removed_at) as last_removed_at,
        bool_or(removed_at is null) as is_member
    from carried_spells
    group by tenant_id, segment_id, customer_id
),

new_stays as (
    select
        evaluated.tenant_id,
        evaluated.segment_id,
        evaluated.customer_id,
        case
            when recorded_members.last_removed_at > evaluated.qualifies_since then {{ as_of() }}
            else evaluated.qualifies_since
        end as added_at,
        cast(null as {{ type_timestamptz() }}) as removed_at,
        evaluated.definition_hash
    from evaluated
    left join recorded_members
        on
            evaluated.tenant_id = recorded_members.tenant_id
            and evaluated.segment_id = recorded_members.segment_id
            and evaluated.customer_id = recorded_members.customer_id
    where
        recorded_members.last_spell is null
        or (
            not recorded_members.is_member
            and (
                evaluated.reentry_policy = 'every'
                or (
                    evaluated.reentry_policy = 'cooldown'
                    and {{ add_days(
                        'recorded_members.last_removed_at', 'evaluated.reentry_cooldown_days'
                    ) }} <= {{ as_of() }}
                )
            )
        )
    union all
    -- Stays that a feed tells of only after they ended, unless they meet one that is recorded.
    select
        static_stays.tenant_id,
        static_stays.segment_id,
        static_stays.customer_id,
        static_stays.added_at,
        static_stays.removed_at,
        static_stays.definition_hash
    from static_stays
    where
        static_stays.removed_at is not null
        and not exists (
            select 1
            from carried_spells
            where
                carried_spells.tenant_id = static_stays.tenant_id
                and carried_spells.segment_id = static_stays.segment_id
                and carried_spells.customer_id = static_stays.customer_id
                and carried_spells.added_at < static_stays.removed_at
                and coalesce(carried_spells.removed_at > static_stays.added_at, true)
        )
),

new_spells as (
    select
        new_stays.tenant_id,
        new_stays.segment_id,
        new_stays.customer_id,
        coalesce(recorded_members.last_spell, 0) + cast(row_number() over (
            partition by new_stays.tenant_id, new_stays.segment_id, new_stays.customer_id
            order by new_stays.added_at
        ) as integer) as spell,
        new_stays.added_at,
        new_stays.removed_at,
        case when new_stays.removed_at is not null then 'left' end as exit_reason,
        new_stays.definition_hash
    from new_stays
    left join recorded_members
        on
            new_stays.tenant_id = recorded_members.tenant_id
            and new_stays.segment_id = recorded_members.segment_id
            and new_stays.customer_id = recorded_members.customer_id
    where not exists (
        select 1
        from tenants_recorded_later
        where new_stays.tenant_id = tenants_recorded_later.tenant_id
    )
),

final as (
    select
        tenant_id,
        segment_id,
        customer_id,
        spell,
        added_at,
        removed_at,
        exit_reason,
        definition_hash
    from carried_spells
    union all
    select
        tenant_id,
        segment_id,
        customer_id,
        spell,
        added_at,
        removed_at,
        exit_reason,
        definition_hash
    from new_spells
)

select * from final
