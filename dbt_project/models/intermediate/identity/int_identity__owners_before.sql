{#- Reads a table that stands after it, as the build before left it. -#}
{%- set people_before = previous('int_identity__people') -%}
{%- set codes_before = previous('int_loyalty__known_codes') -%}
{%- set referrals_before = previous('int_loyalty__referrals') -%}
-- Who owned what before this build, wherever it may differ now: in the neighbourhoods of what
-- changed, of the customers whose clock has struck, of those who referred any of them (a referrer
-- earns by the friend's first order), and of those to whom a campaign did something.
-- depends_on: {{ ref('int_identity__changed_keys') }}
-- depends_on: {{ ref('int_identity__turned') }}
-- depends_on: {{ ref('int_identity__changes') }}
-- depends_on: {{ ref('stg_loyalty__referrals') }}
-- depends_on: {{ ref('int_identity__changed_recipients') }}
{% if people_before and is_whole_derivation() -%}
    with people_before as (
        select * from {{ people_before }}
    ),

    final as (
        select
            tenant_id,
            identifier_key,
            neighbourhood_id,
            customer_id
        from people_before
    )

    select * from final
{%- elif people_before -%}
    with people_before as (
        select * from {{ people_before }}
    ),

    changes as (
        select * from {{ ref('int_identity__changes') }}
    ),

    clocks as (
        select * from {{ previous('int_customers__clocks') }}
        where {{ visible('next_change_at') }}
    ),

    changed_keys as (
        select
            tenant_id,
            identifier_key
        from {{ ref('int_identity__changed_keys') }}

        union

        select
            tenant_id,
            identifier_key
        from {{ ref('int_identity__turned') }}
    ),

    friends_neighbourhoods as (
        select
            people_before.tenant_id,
            people_before.neighbourhood_id
        from changed_keys
        inner join {{ people_before }} as people_before
            on
                changed_keys.tenant_id = people_before.tenant_id
                and changed_keys.identifier_key = people_before.identifier_key

        union

        select
            tenant_id,
            neighbourhood_id
        from clocks
    ),

    friends_keys as (
        select
            tenant_id,
            identifier_key
        from changed_keys

        union

        select
            people_before.tenant_id,
            people_before.identifier_key
        from friends_neighbourhoods
        inner join {{ people_before }} as people_before
            on
                friends_neighbourhoods.tenant_id = people_before.tenant_id
                and friends_neighbourhoods.neighbourhood_id = people_before.neighbourhood_id
    ),

    codes_used as (
        select
            referrals.tenant_id,
            referrals.referral_code
        from {{ ref('stg_loyalty__referrals') }} as referrals
        where
            exists (
                select 1
                from friends_keys
                where
                    referrals.tenant_id = friends_keys.tenant_id
                    and friends_keys.identifier_key = 'email:' || referrals.referred_email
            )
            or exists (
                select 1
                from friends_keys
                where
                    referrals.tenant_id = friends_keys.tenant_id
                    and friends_keys.identifier_key = 'phone:' || referrals.referred_phone
            )
    ),

    referrers as (
        select
            codes_used.tenant_id,
            codes_before.customer_id
        from codes_used
        inner join {{ codes_before }} as codes_before
            on
                codes_used.tenant_id = codes_before.tenant_id
                and codes_used.referral_code = codes_before.referral_code

        union

        select
            changes.tenant_id,
            referrals_before.referrer_id as customer_id
        from changes
        inner join {{ referrals_before }} as referrals_before
            on
                changes.tenant_id = referrals_before.tenant_id
                and changes.sighting_id = referrals_before.referral_id
                and changes.source = 'referrals'
    ),

    changed_customers as (
        select
            tenant_id,
            customer_id
        from referrers

        union

        select
            tenant_id,
            customer_id
        from {{ ref('int_identity__changed_recipients') }}
    ),

    touched_neighbourhoods as (
        select
            tenant_id,
            neighbourhood_id
        from friends_neighbourhoods

        union

        select
            people_before.tenant_id,
            people_before.neighbourhood_id
        from changed_customers
        inner join {{ people_before }} as people_before
            on
                changed_customers.tenant_id = people_before.tenant_id
                and changed_customers.customer_id = people_before.customer_id
    ),

    final as (
        select
            people_before.tenant_id,
            people_before.identifier_key,
            people_before.neighbourhood_id,
            people_before.customer_id
        from touched_neighbourhoods
        inner join people_before
            on
                touched_neighbourhoods.tenant_id = people_before.tenant_id
                and touched_neighbourhoods.neighbourhood_id = people_before.neighbourhood_id
    )

    select * from final
{%- else -%}
    select
        cast(null as {{ dbt.type_string() }}) as tenant_id,
        cast(null as {{ dbt.type_string() }}) as identifier_key,
        cast(null as {{ dbt.type_string() }}) as neighbourhood_id,
        cast(null as {{ dbt.type_string() }}) as customer_id
    where false
{%- endif %}
