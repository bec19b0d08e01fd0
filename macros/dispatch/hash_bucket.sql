{#
    A fixed whole number from 0 to buckets - 1 for the given parts, evenly spread.
#}
{% macro hash_bucket(parts, buckets) -%}
    {{ return(adapter.dispatch('hash_bucket')(parts, buckets)) }}
{%- endmacro %}

{% macro postgres__hash_bucket(parts, buckets) -%}
    mod(cast(cast('x' || substring({{ hash_id(parts) }}, 1, 8) as bit(32)) as bigint), {{ buckets }})
{%- endmacro %}
