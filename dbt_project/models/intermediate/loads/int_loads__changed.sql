{{ config(unique_key=['tenant_id', 'load_id']) }}

-- depends_on: {{ ref('int_identity__derivation') }}
-- A load changed when it came since the build before, when a row of it was replaced since, or when
-- the date of a row has come since. Empty when everything is derived anew.
with shop_visits as (
    select * from {{ source('raw', 'shop_visits') }}
    where {{ changed_since(['accessed_at']) }}
),

client_events as (
    select * from {{ source('raw', 'client_journey_events') }}
    where {{ changed_since(['occurred_at']) }}
),

final as (
    select
        tenant_id,
        _load_id as load_id
    from shop_visits

    union

    select
        tenant_id,
        _load_id as load_id
    from client_events
)

select * from final
