{#
    A relation as the build before this one left it, or none: for models that stand before it in the
    build and must know what it held. A `ref` would be a circle. A unit test has no build before.
#}
{% macro previous(model_name) %}
    {% if execute %}
        {% set wanted = namespace(relation=none) %}
        {% for node in graph.get('nodes', {}).values() if node.resource_type == 'model' and node.name == model_name %}
            {% set wanted.relation = adapter.get_relation(node.database, node.schema, node.alias) %}
        {% endfor %}
        {{ return(wanted.relation) }}
    {% endif %}
{% endmacro %}
