{#- The message of a campaign to somebody, under the id that the person is enrolled with. -#}
{% macro winback_message_id(rows) -%}
    {{ hash_id([
        rows ~ '.tenant_id', "'winback'", rows ~ '.campaign_id', rows ~ '.customer_id',
    ]) }}
{%- endmacro %}
