{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'load_id', 'client_id'],
    meta={'within': 'int_loads__changed'},
) }}

-- depends_on: {{ ref('int_loads__changed') }}
-- Events of clients whom no contact names are nobody's, so they are counted load by load.
with events as (
    {{ rows_of_changed_loads('stg_clients__journey_events') }}
),

final as (
    select
        tenant_id,
        load_id,
        client_id,
        count(*) as events
    from events
    group by tenant_id, load_id, client_id
)

select * from final
