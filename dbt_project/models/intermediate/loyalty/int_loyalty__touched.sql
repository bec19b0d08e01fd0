{{ config(unique_key=['tenant_id', 'customer_id']) }}

{%- set accounts_before = previous('loyalty_accounts') %}

-- Who drew a code late may be given another number, or the code itself, by what happens to others.
with touched as (
    select * from {{ ref('int_customers__touched') }}
),

late_codes as (
    select * from {{ ref('int_loyalty__late_codes') }}
),

final as (
    select
        tenant_id,
        customer_id
    from touched

    union

    select
        tenant_id,
        customer_id
    from late_codes
    {%- if accounts_before %}

        union

        select
            tenant_id,
            customer_id
        from {{ accounts_before }}
        where referral_code like '0%'
    {% endif %}
)

select * from final
