{{ config(
    unique_key=['tenant_id', 'segment_id', 'customer_id', 'spell'],
    indexes=[
        {'columns': ['tenant_id', 'segment_id', 'customer_id', 'spell'], 'unique': true},
        {'columns': ['tenant_id', 'customer_id']},
    ],
) }}

-- Kept state: what was recorded before as_of stays, and this build adds what it sees at as_of.
-- What an earlier run recorded at this very as_of is decided anew, so a repeated build changes
-- nothing. Where a later instant is recorded already, a tenant's spells stay as they are.
with evaluated as (
    select * from {{ ref('int_segments__evaluated') }}
),

static_stays as (
    select * from {{ ref('int_segments__static_stays') }}
),

definitions as (
    select * from {{ ref('int_segments__definitions') }}
),

recorded_spells as (
    {% if is_incremental() %}
        select * from {{ this }}
    {% else %}
        select
            cast(null as {{ dbt.type_string() }}) as tenant_id,
            cast(null as {{ dbt.type_string() }}) as segment_id,
            cast(null as {{ dbt.type_string() }}) as customer_id,
            cast(null as integer) as spell,
            cast(null as {{ type_timestamptz() }}) as added_at,
            cast(null as {{ type_timestamptz() }}) as removed_at,
            cast(null as {{ dbt.type_string() }}) as exit_reason,
            cast(null as {{ dbt.type_string() }}) as definition_hash
        where false
    {% endif %}
),

tenants_recorded_later as (
    select tenant_id
    from recorded_spells
    group by tenant_id
    having max(greatest(added_at, removed_at)) > {{ as_of() }}
),

-- As they stood just before as_of.
spells_before as (
    select
        recorded_spells.tenant_id,
        recorded_spells.segment_id,
        recorded_spells.customer_id,
        recorded_spells.spell,
        recorded_spells.added_at,
        case
            when
                tenants_recorded_later.tenant_id is not null
                or recorded_spells.removed_at < {{ as_of() }}
                then recorded_spells.removed_at
        end as removed_at,
        recorded_spells.exit_reason,
        recorded_spells.definition_hash,
        tenants_recorded_later.tenant_id is not null as is_recorded_later
    from recorded_spells
    left join tenants_recorded_later
        on recorded_spells.tenant_id = tenants_recorded_later.tenant_id
    where
        tenants_recorded_later.tenant_id is not null
        or recorded_spells.added_at < {{ as_of() }}
),

-- A feed may say that a recorded stay ended, even if it says that the person came back since.
removals_by_feed as (
    select
        spells_before.tenant_id,
        spells_before.segment_id,
        spells_before.customer_id,
        min(static_stays.removed_at) as removed_at
    from spells_before
    inner join static_stays
        on
            spells_before.tenant_id = static_stays.tenant_id
            and spells_before.segment_id = static_stays.segment_id
            and spells_before.customer_id = static_stays.customer_id
            and spells_before.added_at < static_stays.removed_at
    where spells_before.removed_at is null
    group by spells_before.tenant_id, spells_before.segment_id, spells_before.customer_id
),

spells_with_verdict as (
    select
        spells_before.tenant_id,
        spells_before.segment_id,
        spells_before.customer_id,
        spells_before.spell,
        spells_before.added_at,
        spells_before.removed_at,
        spells_before.exit_reason,
        spells_before.definition_hash,
        definitions.definition_hash as current_definition_hash,
        coalesce(spells_before.definition_hash <> definitions.definition_hash, true)
            as is_redefined,
        removals_by_feed.removed_at as removed_by_feed_at,
        case
            when spells_before.is_recorded_later or spells_before.removed_at is not null
                then 'stands'
            when removals_by_feed.removed_at is not null then 'ended by feed'
            when evaluated.customer_id is null then 'ends now'
            else 'goes on'
        end as verdict
    from spells_before
    left join definitions
        on
            spells_before.tenant_id = definitions.tenant_id
            and spells_before.segment_id = definitions.segment_id
    left join evaluated
        on
            spells_before.tenant_id = evaluated.tenant_id
            and spells_before.segment_id = evaluated.segment_id
            and spells_before.customer_id = evaluated.customer_id
    left join removals_by_feed
        on
            spells_before.tenant_id = removals_by_feed.tenant_id
            and spells_before.segment_id = removals_by_feed.segment_id
            and spells_before.customer_id = removals_by_feed.customer_id
),

carried_spells as (
    select
        tenant_id,
        segment_id,
        customer_id,
        spell,
        added_at,
        case
            when verdict = 'stands' then removed_at
            when verdict = 'ended by feed' then removed_by_feed_at
            when verdict = 'ends now' then {{ as_of() }}
        end as removed_at,
        case
            when verdict = 'stands' then exit_reason
            when verdict = 'ended by feed' then 'left'
            when verdict = 'ends now' and is_redefined then 'definition_changed'
            when verdict = 'ends now' then 'left'
        end as exit_reason,
        -- Of the definition under which the person last belonged.
        case when verdict = 'goes on' then current_definition_hash else definition_hash end
            as definition_hash
    from spells_with_verdict
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
    left join tenants_recorded_later
        on new_stays.tenant_id = tenants_recorded_later.tenant_id
    where tenants_recorded_later.tenant_id is null
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
