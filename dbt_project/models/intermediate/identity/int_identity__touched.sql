{{ config(unique_key=['tenant_id', 'identifier_key']) }}

-- The identifiers that this build resolves anew: whole neighbourhoods, so that nothing outside can
-- change what comes out. Empty when everything is derived anew.
with owners_before as (
    select * from {{ ref('int_identity__owners_before') }}
),

changed_keys as (
    select * from {{ ref('int_identity__changed_keys') }}
),

turned as (
    select * from {{ ref('int_identity__turned') }}
),

capped as (
    select * from {{ ref('int_identity__capped') }}
    where not is_ruled
),

new_keys as (
    select
        tenant_id,
        identifier_key
    from changed_keys

    union

    select
        tenant_id,
        identifier_key
    from turned
),

final as (
    select
        tenant_id,
        identifier_key
    from owners_before
    where {{ 'false' if is_whole_derivation() else 'true' }}

    union

    select
        new_keys.tenant_id,
        new_keys.identifier_key
    from new_keys
    -- what is over its cap ties nothing, so it has no neighbourhood
    where not exists (
        select 1
        from capped
        where
            new_keys.tenant_id = capped.tenant_id
            and new_keys.identifier_key = capped.identifier_key
    )
)

select * from final
