{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'identifier_key'],
    meta={'within': 'int_identity__touched'},
    indexes=[
        {'columns': ['tenant_id', 'neighbourhood_id']},
        {'columns': ['tenant_id', 'customer_id']},
    ],
) }}

-- What the next build must know to find everything that its changes can touch.
with neighbourhoods as (
    select * from {{ ref('int_identity__neighbourhoods') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

final as (
    select
        neighbourhoods.tenant_id,
        neighbourhoods.identifier_key,
        neighbourhoods.neighbourhood_id,
        identifiers.customer_id
    from neighbourhoods
    left join identifiers
        on
            neighbourhoods.tenant_id = identifiers.tenant_id
            and neighbourhoods.identifier_key = identifiers.identifier_key
)

select * from final
