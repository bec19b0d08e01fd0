{#- Whether an event of a member spends points on a reward, or returns those of an unused one. -#}
{% macro is_redemption(event_type) -%}
    {{ event_type }} in ('redeem_discount', 'redeem_product', 'unused_discount', 'unused_product')
{%- endmacro %}
