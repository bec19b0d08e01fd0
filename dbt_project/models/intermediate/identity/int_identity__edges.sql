{{ config(unique_key=['tenant_id', 'key_a', 'key_b']) }}

-- On every sighting the strongest identifier is tied to each of the others. What is blocked or over
-- its cap ties nothing, unless a rule of the tenant's says so.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
    where
        is_evidence
        and not is_blocked
),

capped as (
    select * from {{ ref('int_identity__capped') }}
),

rules as (
    select * from {{ ref('int_identity__rules') }}
    where rule = 'always'
),

known_keys as (
    select distinct
        evidence.tenant_id,
        evidence.identifier_key
    from {{ ref('int_identity__evidence') }} as evidence
    inner join {{ ref('int_identity__rules') }} as rules
        on
            evidence.tenant_id = rules.tenant_id
            and evidence.identifier_key in (rules.key_a, rules.key_b)
    where evidence.is_evidence
),

linking as (
    select
        evidence.tenant_id,
        evidence.source,
        evidence.sample_record_id,
        evidence.identifier_key,
        evidence.strength_order,
        evidence.record_count,
        first_value(evidence.identifier_key) over (
            partition by evidence.sighting_id, evidence.source, evidence.tenant_id
            order by evidence.strength_order, evidence.identifier_key
        ) as strongest_key
    from evidence
    where not exists (
        select 1
        from capped
        where
            evidence.tenant_id = capped.tenant_id
            and evidence.identifier_key = capped.identifier_key
    )
),

seen_together as (
    select
        tenant_id,
        least(identifier_key, strongest_key) as key_a,
        greatest(identifier_key, strongest_key) as key_b,
        cast(null as {{ dbt.type_string() }}) as rule,
        min(strength_order) as strength_order,
        sum(record_count) as seen_count,
        min(source || ':' || sample_record_id) as source_record
    from linking
    where identifier_key <> strongest_key
    group by
        tenant_id,
        least(identifier_key, strongest_key),
        greatest(identifier_key, strongest_key)
),

-- Only identifiers that some record is evidence of: what is only mentioned belongs to nobody, by a
-- rule or without one.
ruled as (
    select
        rules.tenant_id,
        rules.key_a,
        rules.key_b,
        'always' as rule,
        0 as strength_order,
        cast(0 as bigint) as seen_count,
        'identity_rules: ' || rules.reason as source_record
    from rules
    inner join known_keys as keys_a
        on
            rules.tenant_id = keys_a.tenant_id
            and rules.key_a = keys_a.identifier_key
    inner join known_keys as keys_b
        on
            rules.tenant_id = keys_b.tenant_id
            and rules.key_b = keys_b.identifier_key
),

final as (
    select
        seen_together.tenant_id,
        seen_together.key_a,
        seen_together.key_b,
        seen_together.rule,
        seen_together.strength_order,
        cast(seen_together.seen_count as bigint) as seen_count,
        seen_together.source_record
    from seen_together
    where
        not exists (
            select 1
            from ruled
            where
                seen_together.tenant_id = ruled.tenant_id
                and seen_together.key_a = ruled.key_a
                and seen_together.key_b = ruled.key_b
        )

    union all

    select
        tenant_id,
        key_a,
        key_b,
        rule,
        strength_order,
        seen_count,
        source_record
    from ruled
)

select * from final
