{{ config(unique_key=['tenant_id', 'customer_id', 'collection']) }}

with touchpoints as (
    select * from {{ ref('int_touchpoints__attributed') }}
),

purchases as (
    select * from {{ ref('int_scoring__collection_purchases') }}
),

affinity_points as (
    select * from {{ ref('int_scoring__affinity_points') }}
),

collections as (
    select * from {{ ref('int_scoring__collections') }}
),

-- Purchases come from orders, so that one seen as an order and as a touchpoint counts once.
interactions_by_type as (
    select
        tenant_id,
        customer_id,
        collection,
        touchpoint_type,
        count(*) as interaction_count
    from touchpoints
    where
        touchpoint_type <> 'purchase'
        and collection is not null
        and customer_id is not null
    group by tenant_id, customer_id, collection, touchpoint_type
    union all
    select
        tenant_id,
        customer_id,
        collection,
        'purchase' as touchpoint_type,
        count(*) as interaction_count
    from purchases
    group by tenant_id, customer_id, collection
),

-- Drops collections that are not on the tenant's list.
scores_per_collection as (
    select
        interactions_by_type.tenant_id,
        interactions_by_type.customer_id,
        interactions_by_type.collection,
        collections.collection_order,
        cast(
            sum(
                interactions_by_type.interaction_count
                * coalesce(type_points.points, other_points.points, 0)
            ) as numeric(14, 2)
        ) as score
    from interactions_by_type
    inner join collections
        on
            interactions_by_type.tenant_id = collections.tenant_id
            and interactions_by_type.collection = collections.collection
    left join affinity_points as type_points
        on
            interactions_by_type.tenant_id = type_points.tenant_id
            and interactions_by_type.touchpoint_type = type_points.touchpoint_type
    left join affinity_points as other_points
        on
            interactions_by_type.tenant_id = other_points.tenant_id
            and other_points.touchpoint_type = '*other*'
    group by
        interactions_by_type.tenant_id,
        interactions_by_type.customer_id,
        interactions_by_type.collection,
        collections.collection_order
),

ranked_collections as (
    select
        tenant_id,
        customer_id,
        collection,
        score,
        row_number() over (
            partition by customer_id, tenant_id
            order by score desc, collection_order, collection
        ) as collection_rank
    from scores_per_collection
    where score > 0
),

final as (
    select
        tenant_id,
        customer_id,
        collection,
        score,
        collection_rank = 1 as is_primary
    from ranked_collections
)

select * from final
