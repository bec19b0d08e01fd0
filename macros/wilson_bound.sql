{#-
    One end of Wilson's 95 % score interval of a proportion; null where there are no trials.
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
-#}
{% macro wilson_bound(successes, trials, sign) -%}
    {%- set z = '1.959963984540054' -%}
    {%- set n = 'cast(nullif(' ~ trials ~ ', 0) as double precision)' -%}
    (
        (
            {{ successes }} + {{ z }} * {{ z }} / 2
            {{ sign }} {{ z }} * sqrt(
                {{ successes }} * (1 - {{ successes }} / {{ n }}) + {{ z }} * {{ z }} / 4
            )
        ) / ({{ n }} + {{ z }} * {{ z }})
    )
{%- endmacro %}
