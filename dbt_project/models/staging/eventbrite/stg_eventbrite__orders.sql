with raw_eventbrite_orders as (
    select * from {{ source('raw', 'eventbrite_orders') }}
),

raw_versions as (
    select * from {{ source('raw', 'eventbrite_orders') }}
),

current_orders as (
    select *
    from raw_eventbrite_orders
    where
        _is_current
        and {{ visible('created') }}
),

replaced_versions as (
    select
        tenant_id,
        id,
        min(_load_id) as first_load_id
    from raw_versions
    where not _is_current
    group by
        tenant_id,
        id
),

final as (
    select
        current_orders.tenant_id,
        current_orders.id as order_id,
        current_orders.event_id,
        {{ normalise_email('current_orders.email') }} as email,
        current_orders.email as email_original,
        nullif(trim(current_orders.first_name), '') as first_name,
        nullif(trim(current_orders.last_name), '') as last_name,
        current_orders.created as created_at,
        current_orders.changed as changed_at,
        current_orders.status,
        current_orders.costs,
        nullif(trim(current_orders.promo_code), '') as promo_code,
        least(current_orders._load_id, replaced_versions.first_load_id) as first_load_id,
        current_orders._load_id as load_id,
        current_orders._loaded_at as loaded_at
    from current_orders
    left join replaced_versions
        on
            current_orders.tenant_id = replaced_versions.tenant_id
            and current_orders.id = replaced_versions.id
)

select * from final
