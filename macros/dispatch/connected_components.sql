{#
    Labels every node with the smallest node it is connected to, directly or through others.

    nodes: name of a CTE or relation with columns (tenant_id, node)
    edges: name of a CTE or relation with columns (tenant_id, node, neighbour), both directions
    Yields (tenant_id, node, component). Edges never cross tenants.

    A label only travels to larger nodes: the smallest node of a component reaches all of it that way,
    and about half of the pairs are never made.
#}
{% macro connected_components(nodes, edges) %}
    {{ return(adapter.dispatch('connected_components', 'journey_warehouse')(nodes, edges)) }}
{% endmacro %}

{% macro default__connected_components(nodes, edges) %}
    with recursive reached as (
        select
            tenant_id,
            node,
            node as label
        from {{ nodes }}

        union

        select
            reached.tenant_id,
            edge.neighbour as node,
            reached.label
        from reached
        inner join {{ edges }} as edge
            on
                reached.tenant_id = edge.tenant_id
                and reached.node = edge.node
                and reached.label < edge.neighbour
    )

    select
        tenant_id,
        node,
        min(label) as component
    from reached
    group by tenant_id, node
{% endmacro %}
