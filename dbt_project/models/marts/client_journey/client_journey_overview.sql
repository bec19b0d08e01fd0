{{ config(
    unique_key='tenant_id',
    indexes=[{'columns': ['tenant_id'], 'unique': true}],
) }}

with tenants as (
    select * from {{ ref('tenants') }}
),

clients as (
    select * from {{ ref('client_journey') }}
),

high_risk_clients as (
    select * from {{ ref('high_risk_clients') }}
),

upsell_candidates as (
    select * from {{ ref('upsell_candidates') }}
    where is_current
),

event_counts as (
    select * from {{ ref('int_client_journey__event_counts') }}
),

clients_per_tenant as (
    select
        clients.tenant_id,
        count(*) as clients,
        count(high_risk_clients.client_id) as high_risk_clients,
        count(upsell_candidates.client_id) as upsell_candidates,
        avg(clients.score) as average_score,
        sum(clients.events) as events
    from clients
    left join high_risk_clients
        on
            clients.tenant_id = high_risk_clients.tenant_id
            and clients.client_id = high_risk_clients.client_id
    left join upsell_candidates
        on
            clients.tenant_id = upsell_candidates.tenant_id
            and clients.client_id = upsell_candidates.client_id
    group by clients.tenant_id
),

events_per_tenant as (
    select
        tenant_id,
        sum(events) as events
    from event_counts
    group by tenant_id
),

final as (
    select
        tenants.tenant_id,
        coalesce(clients_per_tenant.clients, 0) as clients,
        coalesce(clients_per_tenant.high_risk_clients, 0) as high_risk_clients,
        coalesce(clients_per_tenant.upsell_candidates, 0) as upsell_candidates,
        cast(clients_per_tenant.average_score as numeric(14, 2)) as average_score,
        cast(coalesce(clients_per_tenant.events, 0) as {{ dbt.type_bigint() }}) as events,
        cast(
            coalesce(events_per_tenant.events, 0) - coalesce(clients_per_tenant.events, 0)
            as {{ dbt.type_bigint() }}
        ) as events_of_unknown_clients
    from tenants
    left join clients_per_tenant on tenants.tenant_id = clients_per_tenant.tenant_id
    left join events_per_tenant on tenants.tenant_id = events_per_tenant.tenant_id
)

select * from final
