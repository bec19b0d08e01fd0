{#
    Eight characters for a hash (hexadecimal text of 16 digits or more), from an alphabet without I, O,
    0 and 1, which people misread: each character stands for two hexadecimal digits of the hash.
#}
{% macro referral_code(hash) -%}
    {%- for position in range(8) -%}
        {%- if not loop.first %} || {% endif -%}
        translate(
            substring({{ hash }}, {{ 2 * position + 2 }}, 1),
            '0123456789abcdef',
            case
                when substring({{ hash }}, {{ 2 * position + 1 }}, 1) < '8' then 'ABCDEFGHJKLMNPQR'
                else 'STUVWXYZ23456789'
            end
        )
    {%- endfor -%}
{%- endmacro %}
