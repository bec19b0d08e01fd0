{{ config(unique_key=['tenant_id', 'source', 'sighting_id']) }}

with changed_records as (
    select * from {{ ref('int_identity__changed_records') }}
),

changed_requests as (
    select * from {{ ref('int_identity__changed_requests') }}
),

final as (
    select
        tenant_id,
        source,
        sighting_id
    from changed_records

    union

    select
        tenant_id,
        'redemption_requests' as source,
        request_id as sighting_id
    from changed_requests
)

select * from final
