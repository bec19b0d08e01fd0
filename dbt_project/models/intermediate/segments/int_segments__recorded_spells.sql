{{ config(unique_key=['tenant_id', 'segment_id', 'customer_id', 'spell']) }}

{#- Reads a table that stands after it, as the build before left it. -#}
{%- set memberships_before = previous('segment_memberships') -%}
-- What was recorded before as_of stands; what was recorded at this very as_of is decided anew, so a
-- repeated build changes nothing. Everything recorded under an old id belongs to who has taken it
-- over. Where a later instant is recorded already, a tenant's spells stay as they are.
with recorded as (
    {% if memberships_before %}
        select * from {{ memberships_before }}
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

redirects as (
    select * from {{ ref('customer_redirects') }}
),

with_tenants_latest as (
    select
        recorded.*,
        max(greatest(added_at, removed_at)) over (partition by tenant_id)
        > {{ as_of() }} as is_recorded_later
    from recorded
),

spells_before as (
    select
        with_tenants_latest.tenant_id,
        with_tenants_latest.segment_id,
        with_tenants_latest.customer_id as recorded_customer_id,
        coalesce(redirects.customer_id, with_tenants_latest.customer_id) as customer_id,
        with_tenants_latest.spell,
        with_tenants_latest.added_at,
        case
            when
                with_tenants_latest.is_recorded_later
                or with_tenants_latest.removed_at < {{ as_of() }}
                then with_tenants_latest.removed_at
        end as removed_at,
        with_tenants_latest.exit_reason,
        with_tenants_latest.definition_hash,
        with_tenants_latest.is_recorded_later
    from with_tenants_latest
    left join redirects
        on
            with_tenants_latest.tenant_id = redirects.tenant_id
            and with_tenants_latest.customer_id = redirects.old_customer_id
            and not with_tenants_latest.is_recorded_later
    where
        with_tenants_latest.is_recorded_later
        or with_tenants_latest.added_at < {{ as_of() }}
),

-- A stay without an end lasts beyond the build, which the next day stands for.
spells_with_predecessors as (
    select
        spells_before.*,
        max(coalesce(removed_at, {{ add_days(as_of(), 1) }})) over (
            partition by tenant_id, segment_id, customer_id
            order by added_at, recorded_customer_id, spell
            rows between unbounded preceding and 1 preceding
        ) as covered_until,
        bool_or(recorded_customer_id <> customer_id) over (
            partition by tenant_id, segment_id, customer_id
        ) as is_merged
    from spells_before
),

-- Only the stays of people who were merged can overlap or touch; together they are one.
spells_in_stretches as (
    select
        spells_with_predecessors.*,
        sum(case when is_merged and added_at <= covered_until then 0 else 1 end) over (
            partition by tenant_id, segment_id, customer_id
            order by added_at, recorded_customer_id, spell
            rows between unbounded preceding and current row
        ) as stretch
    from spells_with_predecessors
),

-- The one that ended last, or lasts, says how the whole ended.
ranked_spells as (
    select
        spells_in_stretches.*,
        min(added_at) over (
            partition by tenant_id, segment_id, customer_id, stretch
        ) as first_added_at,
        row_number() over (
            partition by tenant_id, segment_id, customer_id, stretch
            order by removed_at desc nulls first, added_at desc, recorded_customer_id, spell
        ) as preference
    from spells_in_stretches
),

final as (
    select
        tenant_id,
        segment_id,
        customer_id,
        cast(case when is_merged then stretch else spell end as integer) as spell,
        first_added_at as added_at,
        removed_at,
        exit_reason,
        definition_hash,
        is_recorded_later
    from ranked_spells
    where preference = 1
)

select * from final
