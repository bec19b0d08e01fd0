-- Values that went over their cap, or came back under it, with all that stands beside them: only
-- then does a shared value change anything for those who share it.
with changed_keys as (
    select * from {{ ref('int_identity__changed_keys') }}
),

capped_before as (
    select * from {{ ref('int_identity__capped_before') }}
),

capped as (
    select * from {{ ref('int_identity__capped') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

beside as (
    select * from {{ ref('int_identity__identifiers') }}
),

turned_keys as (
    select
        changed_keys.tenant_id,
        changed_keys.identifier_key
    from changed_keys
    left join capped_before
        on
            changed_keys.tenant_id = capped_before.tenant_id
            and changed_keys.identifier_key = capped_before.identifier_key
    left join capped
        on
            changed_keys.tenant_id = capped.tenant_id
            and changed_keys.identifier_key = capped.identifier_key
    where (capped_before.identifier_key is null) <> (capped.identifier_key is null)
),

final as (
    select distinct
        beside.tenant_id,
        beside.source,
        beside.sighting_id,
        beside.identifier_key
    from turned_keys
    inner join identifiers
        on
            turned_keys.tenant_id = identifiers.tenant_id
            and turned_keys.identifier_key = identifiers.identifier_key
    inner join beside
        on
            identifiers.tenant_id = beside.tenant_id
            and identifiers.source = beside.source
            and identifiers.sighting_id = beside.sighting_id
)

select * from final
