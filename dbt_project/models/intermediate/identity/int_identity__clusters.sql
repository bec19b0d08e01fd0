{{ config(unique_key=['tenant_id', 'identifier_key'], pre_hook='{{ hash_joins_only() }}') }}

-- What the evidence connects, before vetoes.
with ties as (
    select * from {{ ref('int_identity__ties') }}
),

linked_nodes as (
    select distinct
        tenant_id,
        node
    from {{ ref('int_identity__ties') }}
),

components as (
    {{ connected_components('linked_nodes', 'ties') }}
),

final as (
    select
        tenant_id,
        node as identifier_key,
        component as cluster_id
    from components
)

select * from final
