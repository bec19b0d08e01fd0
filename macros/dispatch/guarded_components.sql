{#
    Joins nodes along edges, the strongest edge first, and refuses an edge that would bring together
    what must stay apart: the maximum spanning forest under that constraint, so that what is refused
    is the weakest edge between the two.

    nodes: name of a CTE with (tenant_id, cluster_id, node_number from 1, node, exclusive_as), where
        two nodes of one cluster that are both exclusive as the same thing must stay apart, or null
    edges: name of a CTE with (tenant_id, cluster_id, step from 1, node_number_a, node_number_b,
        is_forced)
    apart: name of a CTE with (tenant_id, cluster_id, node_number_a, node_number_b)
    Yields one row per step, with the group of every node after it: (tenant_id, cluster_id, step,
    refused_as, groups): as what the two are exclusive, 'rule' for a pair that is kept apart, or null.
    Step 0 is before any edge. All clusters take a step at once.
#}
{% macro guarded_components(nodes, edges, apart) %}
    {{ return(adapter.dispatch('guarded_components', 'journey_warehouse')(nodes, edges, apart)) }}
{% endmacro %}

{% macro postgres__guarded_components(nodes, edges, apart) %}
    with recursive starts as (
        select
            tenant_id,
            cluster_id,
            array_agg(node_number order by node_number) as groups,
            array_agg(exclusive_as order by node_number) as exclusives
        from {{ nodes }}
        group by tenant_id, cluster_id
    ),

    apart_per_cluster as (
        select
            tenant_id,
            cluster_id,
            array_agg(node_number_a order by node_number_a, node_number_b) as numbers_a,
            array_agg(node_number_b order by node_number_a, node_number_b) as numbers_b
        from {{ apart }}
        group by tenant_id, cluster_id
    ),

    steps as (
        select
            tenant_id,
            cluster_id,
            cast(0 as bigint) as step,
            cast(null as text) as refused_as,
            groups
        from starts

        union all

        select
            steps.tenant_id,
            steps.cluster_id,
            edge.step,
            judged.refused_as,
            case
                when judged.refused_as is not null then steps.groups
                else array_replace(
                    steps.groups,
                    greatest(
                        steps.groups[edge.node_number_a], steps.groups[edge.node_number_b]
                    ),
                    least(steps.groups[edge.node_number_a], steps.groups[edge.node_number_b])
                )
            end as groups
        from steps
        inner join {{ edges }} as edge
            on
                steps.tenant_id = edge.tenant_id
                and steps.cluster_id = edge.cluster_id
                and steps.step + 1 = edge.step
        inner join starts
            on
                steps.tenant_id = starts.tenant_id
                and steps.cluster_id = starts.cluster_id
        left join apart_per_cluster
            on
                steps.tenant_id = apart_per_cluster.tenant_id
                and steps.cluster_id = apart_per_cluster.cluster_id
        cross join lateral (
            select
                case
                    when edge.is_forced
                        or steps.groups[edge.node_number_a] = steps.groups[edge.node_number_b]
                        then null
                    else coalesce(
                        (
                            select min(shared.exclusive_as)
                            from (
                                select member.exclusive_as
                                from unnest(steps.groups, starts.exclusives)
                                    as member (in_group, exclusive_as)
                                where
                                    member.exclusive_as is not null
                                    and member.in_group in (
                                        steps.groups[edge.node_number_a],
                                        steps.groups[edge.node_number_b]
                                    )
                                group by member.exclusive_as
                                having count(distinct member.in_group) = 2
                            ) as shared
                        ),
                        (
                            select 'rule'
                            from unnest(apart_per_cluster.numbers_a, apart_per_cluster.numbers_b) as pair (a, b)
                            where
                                (
                                    steps.groups[pair.a] = steps.groups[edge.node_number_a]
                                    and steps.groups[pair.b] = steps.groups[edge.node_number_b]
                                )
                                or (
                                    steps.groups[pair.a] = steps.groups[edge.node_number_b]
                                    and steps.groups[pair.b] = steps.groups[edge.node_number_a]
                                )
                            limit 1
                        )
                    )
                end as refused_as
        ) as judged
    )

    select
        tenant_id,
        cluster_id,
        step,
        refused_as,
        groups
    from steps
{% endmacro %}
