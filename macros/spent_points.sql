{#-
    What an event of a member takes from the points: what a refund or a correction takes back, what a
    reward costs, and below zero what comes back from an unused one.
-#}
{% macro spent_points(event_type, points) -%}
    case when {{ is_redemption(event_type) }} then -{{ points }} else greatest(-{{ points }}, 0) end
{%- endmacro %}
