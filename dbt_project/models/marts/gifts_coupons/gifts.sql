{{ config(
    unique_key=['tenant_id', 'gift_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['status']},
        {'columns': ['tenant_id', 'code'], 'unique': true},
    ],
) }}

with gifts as (
    select * from {{ ref('int_gifts_coupons__gifts') }}
),

accepted_claims as (
    select * from {{ ref('gift_claims') }}
    where status = 'accepted'
),

final as (
    select
        gifts.tenant_id,
        gifts.gift_id,
        gifts.customer_id,
        case
            when accepted_claims.gift_claim_id is not null then 'claimed'
            when gifts.cancelled_at is not null then 'cancelled'
            when {{ visible('gifts.expires_at') }} then 'expired'
            when {{ visible('gifts.delivery_at') }} then 'delivered'
            else 'pending'
        end as status,
        gifts.code,
        gifts.order_id,
        gifts.sender_email,
        gifts.sender_name,
        gifts.recipient_email,
        gifts.recipient_name,
        gifts.message,
        gifts.created_at,
        gifts.due_at,
        {{ visible_at('gifts.delivery_at') }} as delivered_at,
        accepted_claims.claimed_at,
        accepted_claims.gift_claim_id,
        accepted_claims.customer_id as claimed_by_customer_id,
        gifts.cancelled_at,
        gifts.expires_at
    from gifts
    left join accepted_claims
        on
            gifts.tenant_id = accepted_claims.tenant_id
            and gifts.gift_id = accepted_claims.gift_id
)

select * from final
