{{ config(
    unique_key=['tenant_id', 'client_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['tenant_id', 'is_current desc', 'last_became_at desc', 'client_id']},
    ],
) }}

with spells as (
    select * from {{ ref('int_client_journey__path') }}
    where stage = 'upsell_candidate'
),

clients as (
    select * from {{ ref('int_client_journey__clients') }}
),

spells_per_client as (
    select
        tenant_id,
        client_id,
        count(*) as spells,
        min(entered_at) as first_became_at,
        max(entered_at) as last_became_at,
        max(left_at) as last_left_at,
        bool_or(left_at is null) as is_current
    from spells
    group by tenant_id, client_id
),

final as (
    select
        clients.tenant_id,
        clients.client_id,
        clients.customer_id,
        clients.client_name,
        clients.email,
        spells_per_client.is_current,
        spells_per_client.spells,
        spells_per_client.first_became_at,
        spells_per_client.last_became_at,
        spells_per_client.last_left_at
    from clients
    -- keeps only those who ever were candidates
    inner join spells_per_client
        on
            clients.tenant_id = spells_per_client.tenant_id
            and clients.client_id = spells_per_client.client_id
)

select * from final
