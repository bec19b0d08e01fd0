{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'load_id', 'visit_group_id'],
    meta={'within': 'int_loads__changed'},
) }}

-- depends_on: {{ ref('int_loads__changed') }}
-- Most visits show nobody, so they are counted by the load that brought them: a row never moves to
-- another load, and only loads that changed are counted anew.
with visits as (
    {{ rows_of_changed_loads('stg_shops__visits') }}
),

final as (
    select
        tenant_id,
        load_id,
        {{ hash_id(['shop_id', 'slug', 'order_id']) }} as visit_group_id,
        shop_id,
        slug,
        order_id as source_order_id,
        count(*) as visits,
        min(accessed_at) as first_accessed_at
    from visits
    group by tenant_id, load_id, shop_id, slug, order_id
)

select * from final
