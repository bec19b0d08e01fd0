{{ config(
    unique_key=['tenant_id', 'lot_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id', 'expires_at']}],
) }}

with lots as (
    select * from {{ ref('int_loyalty__lots') }}
),

open_lots as (
    select * from {{ ref('int_loyalty__open_lots') }}
),

final as (
    select
        lots.tenant_id,
        {{ hash_id([
            'lots.tenant_id', 'lots.event_type', 'lots.source_id', 'lots.event_type',
        ]) }} as lot_id,
        lots.customer_id,
        lots.points,
        coalesce(open_lots.remaining_points, 0) as remaining_points,
        lots.opened_at,
        lots.expires_at
    from lots
    left join open_lots
        on
            lots.tenant_id = open_lots.tenant_id
            and lots.customer_id = open_lots.customer_id
            and lots.event_number = open_lots.event_number
)

select * from final
