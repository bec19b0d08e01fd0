{{ config(unique_key=['tenant_id', 'collection']) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

collections as (
    select * from {{ ref('collections') }}
),

-- A tenant with any collection of its own uses only its own list.
collections_per_tenant as (
    select
        tenants.tenant_id,
        collections.collection,
        collections.collection_order,
        collections.tenant_id <> '*' as is_own,
        bool_or(collections.tenant_id <> '*') over (partition by tenants.tenant_id) as has_own
    from tenants
    inner join collections on collections.tenant_id in (tenants.tenant_id, '*')
),

final as (
    select
        tenant_id,
        collection,
        collection_order
    from collections_per_tenant
    where is_own = has_own
)

select * from final
