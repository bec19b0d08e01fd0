{{ config(unique_key=['tenant_id', 'segment_id', 'customer_id', 'spell']) }}

-- What this build makes of every spell that is recorded: it stands, goes on, or ends.
with recorded_spells as (
    select * from {{ ref('int_segments__recorded_spells') }}
),

evaluated as (
    select * from {{ ref('int_segments__evaluated') }}
),

static_stays as (
    select * from {{ ref('int_segments__static_stays') }}
),

definitions as (
    select * from {{ ref('int_segments__definitions') }}
),

erased_customers as (
    select * from {{ ref('int_segments__erased_customers') }}
),

customers as (
    select * from {{ ref('customers') }}
),

-- A feed may say that a recorded stay ended, even if it says that the person came back since.
removals_by_feed as (
    select
        open_spells.tenant_id,
        open_spells.segment_id,
        open_spells.customer_id,
        min(static_stays.removed_at) as removed_at
    from {{ ref('int_segments__recorded_spells') }} as open_spells
    inner join static_stays
        on
            open_spells.tenant_id = static_stays.tenant_id
            and open_spells.segment_id = static_stays.segment_id
            and open_spells.customer_id = static_stays.customer_id
            and open_spells.added_at < static_stays.removed_at
    where open_spells.removed_at is null
    group by open_spells.tenant_id, open_spells.segment_id, open_spells.customer_id
),

spells_with_verdict as (
    select
        recorded_spells.*,
        definitions.definition_hash as current_definition_hash,
        coalesce(recorded_spells.definition_hash <> definitions.definition_hash, true)
            as is_redefined,
        -- Who was found erased stays so when the same instant is built again.
        erased_customers.customer_id is not null
        or (recorded_spells.exit_reason = 'erased' and customers.customer_id is null) as is_erased,
        removals_by_feed.removed_at as removed_by_feed_at,
        case
            when recorded_spells.is_recorded_later or recorded_spells.removed_at is not null
                then 'stands'
            when removals_by_feed.removed_at is not null then 'ended by feed'
            when evaluated.customer_id is null then 'ends now'
            else 'goes on'
        end as verdict
    from recorded_spells
    left join definitions
        on
            recorded_spells.tenant_id = definitions.tenant_id
            and recorded_spells.segment_id = definitions.segment_id
    left join evaluated
        on
            recorded_spells.tenant_id = evaluated.tenant_id
            and recorded_spells.segment_id = evaluated.segment_id
            and recorded_spells.customer_id = evaluated.customer_id
    left join removals_by_feed
        on
            recorded_spells.tenant_id = removals_by_feed.tenant_id
            and recorded_spells.segment_id = removals_by_feed.segment_id
            and recorded_spells.customer_id = removals_by_feed.customer_id
    left join erased_customers
        on
            recorded_spells.tenant_id = erased_customers.tenant_id
            and recorded_spells.customer_id = erased_customers.customer_id
    left join customers
        on
            recorded_spells.tenant_id = customers.tenant_id
            and recorded_spells.customer_id = customers.customer_id
),

final as (
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
            when verdict = 'ends now' and is_erased then 'erased'
            when verdict = 'ends now' and is_redefined then 'definition_changed'
            when verdict = 'ends now' then 'left'
        end as exit_reason,
        -- Of the definition under which the person last belonged.
        case when verdict = 'goes on' then current_definition_hash else definition_hash end
            as definition_hash,
        is_recorded_later
    from spells_with_verdict
)

select * from final
