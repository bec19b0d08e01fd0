{{ config(
    materialized='incremental',
    incremental_strategy='replace_changed',
    unique_key=['tenant_id', 'request_id'],
    meta={'within': 'int_customers__touched'},
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- A reward is used by the first paid order with its code, whoever placed it, until it expires.
with requests as (
    {{ owned_rows('stg_loyalty__redemption_requests', 'redemption_requests') }}
),

decisions as (
    select * from {{ ref('stg_loyalty__redemption_decisions') }}
    where decision = 'accepted'
),

codes as (
    select * from {{ ref('int_orders__codes') }}
    where was_paid
),

uses as (
    select
        decisions.tenant_id,
        decisions.request_id,
        codes.order_id,
        codes.ordered_at,
        row_number() over (
            partition by decisions.tenant_id, decisions.request_id
            order by codes.ordered_at, codes.order_id
        ) as use_number
    from decisions
    inner join codes
        on
            decisions.tenant_id = codes.tenant_id
            and decisions.code = codes.code
            and decisions.decided_at <= codes.ordered_at
            and decisions.expires_at > codes.ordered_at
),

final as (
    select
        requests.tenant_id,
        requests.request_id,
        requests.customer_id,
        decisions.reward_id,
        decisions.movement_type,
        decisions.points,
        decisions.code,
        decisions.decided_at,
        decisions.expires_at,
        uses.order_id as used_order_id,
        uses.ordered_at as used_at
    from requests
    inner join decisions
        on
            requests.tenant_id = decisions.tenant_id
            and requests.request_id = decisions.request_id
    left join uses
        on
            requests.tenant_id = uses.tenant_id
            and requests.request_id = uses.request_id
            and uses.use_number = 1
    where requests.customer_id is not null
)

select * from final
