{{ config(
    unique_key=['tenant_id', 'request_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['status']},
    ],
) }}

-- Whose request is it? The owner of the e-mail, else of the phone.
with requests as (
    select * from {{ ref('stg_loyalty__redemption_requests') }}
),

email_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

phone_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

decisions as (
    select * from {{ ref('stg_loyalty__redemption_decisions') }}
),

redemptions as (
    select * from {{ ref('int_loyalty__redemptions') }}
),

returns as (
    select * from {{ ref('points_transactions') }}
    where reference_type in ('unused_discount', 'unused_product')
),

lapses as (
    select * from {{ ref('points_transactions') }}
    where reference_type = 'lapse'
),

followed_requests as (
    select
        requests.tenant_id,
        requests.request_id,
        coalesce(
            redemptions.customer_id, email_owners.customer_id, phone_owners.customer_id
        ) as customer_id,
        requests.reward_id,
        requests.requested_at,
        decisions.decision,
        decisions.reason,
        decisions.points,
        decisions.code,
        decisions.decided_at,
        decisions.expires_at,
        redemptions.used_at,
        redemptions.used_order_id,
        case
            when returns.transaction_id is not null
                then returns.points + coalesce(lapses.points, 0)
        end as returned_points
    from requests
    left join email_owners
        on
            requests.tenant_id = email_owners.tenant_id
            and 'email:' || requests.email = email_owners.identifier_key
    left join phone_owners
        on
            requests.tenant_id = phone_owners.tenant_id
            and 'phone:' || requests.phone = phone_owners.identifier_key
    left join decisions
        on
            requests.tenant_id = decisions.tenant_id
            and requests.request_id = decisions.request_id
    left join redemptions
        on
            requests.tenant_id = redemptions.tenant_id
            and requests.request_id = redemptions.request_id
    left join returns
        on
            requests.tenant_id = returns.tenant_id
            and requests.request_id = returns.reference_id
    left join lapses
        on
            requests.tenant_id = lapses.tenant_id
            and requests.request_id = lapses.reference_id
),

final as (
    select
        tenant_id,
        request_id,
        customer_id,
        reward_id,
        requested_at,
        case
            when decision is null then 'requested'
            when decision = 'refused' then 'refused'
            when used_at is not null then 'used'
            when expires_at > {{ as_of() }} then 'pending'
            when returned_points > 0 then 'refunded'
            else 'expired'
        end as status,
        reason,
        points,
        returned_points,
        code,
        decided_at,
        expires_at,
        used_at,
        used_order_id
    from followed_requests
)

select * from final
