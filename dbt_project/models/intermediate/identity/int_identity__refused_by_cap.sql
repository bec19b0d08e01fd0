-- What a value over its cap would have tied: each strong identifier beside it, with one record that
-- shows both.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
    where
        is_evidence
        and not is_blocked
),

capped as (
    select * from {{ ref('int_identity__capped') }}
),

neighbours as (
    select * from {{ ref('int_identity__evidence') }}
    where
        is_evidence
        and not is_blocked
),

final as (
    select
        capped.tenant_id,
        capped.identifier_key as identifier_a,
        neighbours.identifier_key as identifier_b,
        'Seen with ' || cast(capped.strong_count as {{ dbt.type_string() }})
        || ' people, more than the ' || cast(capped.cap as {{ dbt.type_string() }})
        || ' that one may be seen with' as reason,
        min(neighbours.source || ':' || neighbours.sample_record_id) as source_record
    from capped
    inner join evidence
        on
            capped.tenant_id = evidence.tenant_id
            and capped.identifier_key = evidence.identifier_key
    inner join neighbours
        on
            evidence.tenant_id = neighbours.tenant_id
            and evidence.source = neighbours.source
            and evidence.sighting_id = neighbours.sighting_id
            and evidence.identifier_key <> neighbours.identifier_key
    group by
        capped.tenant_id,
        capped.identifier_key,
        neighbours.identifier_key,
        capped.strong_count,
        capped.cap
)

select * from final
