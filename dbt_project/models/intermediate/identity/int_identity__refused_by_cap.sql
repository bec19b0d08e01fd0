{{ config(unique_key=['tenant_id', 'identifier_a', 'identifier_b']) }}

-- What a value over its cap would have tied: everything usable beside it, with one record that
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
    select evidence.*
    from {{ ref('int_identity__evidence') }} as evidence
    left join {{ ref('int_identity__capped') }} as other_capped
        on
            evidence.tenant_id = other_capped.tenant_id
            and evidence.identifier_key = other_capped.identifier_key
            and not other_capped.is_ruled
    where
        evidence.is_evidence
        and not evidence.is_blocked
        and other_capped.identifier_key is null
),

final as (
    select
        capped.tenant_id,
        capped.identifier_key as identifier_a,
        neighbours.identifier_key as identifier_b,
        'Seen with more than the ' || cast(capped.cap as {{ dbt.type_string() }})
        || ' people that one may be seen with' as reason,
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
        capped.cap
)

select * from final
