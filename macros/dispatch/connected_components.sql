{#
    Labels every node with the smallest node it is connected to, directly or through others.

    nodes: name of a CTE or relation with columns (tenant_id, node)
    edges: name of a CTE or relation with columns (tenant_id, node, neighbour), both directions
    Yields (tenant_id, node, component). Edges never cross tenants.

    First the graph is contracted a few times: each node is hooked to the smallest node around it, and
    to whatever that one is hooked to. A component of a few nodes is one node by then, and so is a star,
    however many hang on it. What is left is walked by recursion, where a label only travels to larger
    nodes: that alone would take the square of a component's size.
#}
{% macro connected_components(nodes, edges) %}
    {{ return(adapter.dispatch('connected_components', 'journey_warehouse')(nodes, edges)) }}
{% endmacro %}

{% macro default__connected_components(nodes, edges) %}
    {%- set rounds = 3 -%}
    with recursive {% for round in range(1, rounds + 1) -%}
    {%- set graph = edges if loop.first else 'graph_' ~ (round - 1) -%}
    hooked_{{ round }} as (
        select
            tenant_id,
            node,
            least(node, min(neighbour)) as hook
        from {{ graph }}
        group by tenant_id, node
    ),

    contracted_{{ round }} as (
        select
            hooked_{{ round }}.tenant_id,
            hooked_{{ round }}.node,
            hooks_of_hooks.hook as label
        from hooked_{{ round }}
        -- a hook is a node of this graph
        inner join hooked_{{ round }} as hooks_of_hooks
            on
                hooked_{{ round }}.tenant_id = hooks_of_hooks.tenant_id
                and hooked_{{ round }}.hook = hooks_of_hooks.node
    ),

    graph_{{ round }} as (
        select distinct
            graph.tenant_id,
            nodes_here.label as node,
            neighbours.label as neighbour
        from {{ graph }} as graph
        inner join contracted_{{ round }} as nodes_here
            on
                graph.tenant_id = nodes_here.tenant_id
                and graph.node = nodes_here.node
        inner join contracted_{{ round }} as neighbours
            on
                graph.tenant_id = neighbours.tenant_id
                and graph.neighbour = neighbours.node
        where nodes_here.label <> neighbours.label
    ),

    {% endfor -%}
    reached as (
        select
            tenant_id,
            node,
            node as label
        from (select distinct tenant_id, node from graph_{{ rounds }}) as remaining_nodes

        union

        select
            reached.tenant_id,
            edge.neighbour as node,
            reached.label
        from reached
        inner join graph_{{ rounds }} as edge
            on
                reached.tenant_id = edge.tenant_id
                and reached.node = edge.node
                and reached.label < edge.neighbour
    ),

    walked as (
        select
            tenant_id,
            node,
            min(label) as label
        from reached
        group by tenant_id, node
    )


    select
        nodes.tenant_id,
        nodes.node,
        coalesce(
            walked.label
            {%- for round in range(rounds, 0, -1) %}, contracted_{{ round }}.label{% endfor %}, nodes.node
        ) as component
    from {{ nodes }} as nodes
    {% for round in range(1, rounds + 1) -%}
    left join contracted_{{ round }}
        on
            nodes.tenant_id = contracted_{{ round }}.tenant_id
            and {{ 'nodes.node' if loop.first else 'contracted_' ~ (round - 1) ~ '.label' }} = contracted_{{ round }}.node
    {% endfor -%}
    left join walked
        on
            nodes.tenant_id = walked.tenant_id
            and contracted_{{ rounds }}.label = walked.node
{% endmacro %}
