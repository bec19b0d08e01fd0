{{ config(unique_key=['tenant_id', 'rule', 'key_a', 'key_b']) }}

-- What people know better: pairs that are always or never one person, the smaller key first.
with rules as (
    select * from {{ ref('identity_rules') }}
),

with_keys as (
    select
        tenant_id,
        rule,
        identifier_type_a || ':' || case
            when identifier_type_a = 'email' then {{ normalise_email('identifier_a') }}
            else trim(identifier_a)
        end as one_key,
        identifier_type_b || ':' || case
            when identifier_type_b = 'email' then {{ normalise_email('identifier_b') }}
            else trim(identifier_b)
        end as other_key,
        reason
    from rules
),

final as (
    select
        tenant_id,
        rule,
        least(one_key, other_key) as key_a,
        greatest(one_key, other_key) as key_b,
        min(reason) as reason
    from with_keys
    group by tenant_id, rule, least(one_key, other_key), greatest(one_key, other_key)
)

select * from final
