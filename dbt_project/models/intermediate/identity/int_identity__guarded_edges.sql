{{ config(unique_key=['tenant_id', 'cluster_id', 'step']) }}

-- The edges of clusters that hold what must stay apart: two shop accounts, two client records, or a
-- pair that a rule of the tenant's keeps apart. From the strongest to the weakest.
with edges as (
    select * from {{ ref('int_identity__edges') }}
),

clusters as (
    select * from {{ ref('int_identity__clusters') }}
),

rules as (
    select * from {{ ref('int_identity__rules') }}
    where rule = 'never'
),

clusters_with_rules as (
    select distinct
        clusters.tenant_id,
        clusters.cluster_id
    from rules
    inner join clusters
        on
            rules.tenant_id = clusters.tenant_id
            and rules.key_a = clusters.identifier_key
    inner join {{ ref('int_identity__clusters') }} as other_clusters
        on
            rules.tenant_id = other_clusters.tenant_id
            and rules.key_b = other_clusters.identifier_key
            and clusters.cluster_id = other_clusters.cluster_id
),

clusters_in_doubt as (
    select
        tenant_id,
        cluster_id
    from {{ ref('int_identity__clusters') }}
    where split_part(identifier_key, ':', 1) in ('shopify_customer_id', 'contact')
    group by tenant_id, cluster_id, split_part(identifier_key, ':', 1)
    having count(*) > 1

    union

    select
        tenant_id,
        cluster_id
    from clusters_with_rules
),

final as (
    select
        edges.tenant_id,
        clusters_in_doubt.cluster_id,
        row_number() over (
            partition by edges.tenant_id, clusters_in_doubt.cluster_id
            order by
                edges.strength_order,
                edges.seen_count desc,
                edges.key_a,
                edges.key_b
        ) as step,
        edges.key_a,
        edges.key_b,
        coalesce(edges.rule = 'always', false) as is_forced,
        edges.strength_order,
        edges.seen_count,
        edges.source_record
    from clusters_in_doubt
    inner join {{ ref('int_identity__clusters') }} as members
        on
            clusters_in_doubt.tenant_id = members.tenant_id
            and clusters_in_doubt.cluster_id = members.cluster_id
    inner join edges
        on
            members.tenant_id = edges.tenant_id
            and members.identifier_key = edges.key_a
)

select * from final
