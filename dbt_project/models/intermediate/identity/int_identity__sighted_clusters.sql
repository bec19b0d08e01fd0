{{ config(unique_key=['tenant_id', 'source', 'sighting_id', 'identifier_key']) }}

-- The clusters that stand on one sighting; the first of them stands for the sighting. What is over
-- its cap is none.
with evidence as (
    select * from {{ ref('int_identity__evidence') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

capped as (
    select * from {{ ref('int_identity__capped') }}
    where not is_ruled
),

final as (
    select
        evidence.tenant_id,
        evidence.source,
        evidence.sighting_id,
        evidence.identifier_key,
        coalesce(clusters.cluster_id, evidence.identifier_key) as cluster_id,
        first_value(coalesce(clusters.cluster_id, evidence.identifier_key)) over (
            partition by evidence.sighting_id, evidence.source, evidence.tenant_id
            order by
                case
                    when evidence.identifier_type in ('order_number', 'order_reference') then 2
                    else 1
                end,
                coalesce(clusters.cluster_id, evidence.identifier_key),
                evidence.identifier_key
        ) as first_cluster_id
    from evidence
    left join clusters
        on
            evidence.tenant_id = clusters.tenant_id
            and evidence.identifier_key = clusters.identifier_key
    where not exists (
        select 1
        from capped
        where
            evidence.tenant_id = capped.tenant_id
            and evidence.identifier_key = capped.identifier_key
    )
)

select * from final
