{{ config(
    unique_key=['tenant_id', 'gift_claim_id'],
    indexes=[
        {'columns': ['tenant_id', 'customer_id']},
        {'columns': ['tenant_id', 'gift_id']},
    ],
) }}

with claims as (
    select * from {{ ref('stg_gifts_coupons__gift_claims') }}
),

gifts as (
    select * from {{ ref('int_gifts_coupons__gifts') }}
),

people as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

judged_claims as (
    select
        claims.tenant_id,
        claims.gift_claim_id,
        gifts.gift_id,
        people.customer_id,
        claims.gift_code,
        claims.email,
        claims.claimed_at,
        case
            when gifts.gift_id is null then 'unknown_code'
            when gifts.delivery_at is null or claims.claimed_at < gifts.delivery_at
                then 'not_delivered'
            when claims.claimed_at >= gifts.cancelled_at then 'order_cancelled'
            when claims.claimed_at >= gifts.expires_at then 'expired'
        end as reason_against
    from claims
    left join gifts
        on
            claims.tenant_id = gifts.tenant_id
            and claims.gift_code = gifts.code
    left join people
        on
            claims.tenant_id = people.tenant_id
            and 'email:' || claims.email = people.identifier_key
),

-- Of the claims that nothing else stands against, the first one gets the gift.
numbered_claims as (
    select
        judged_claims.*,
        row_number() over (
            partition by tenant_id, gift_id, reason_against
            order by claimed_at, gift_claim_id
        ) as claim_number
    from judged_claims
),

final as (
    select
        tenant_id,
        gift_claim_id,
        gift_id,
        customer_id,
        gift_code,
        email,
        claimed_at,
        case
            when reason_against is null and claim_number = 1 then 'accepted'
            else 'refused'
        end as status,
        case
            when reason_against is not null then reason_against
            when claim_number > 1 then 'already_claimed'
        end as reason
    from numbered_claims
)

select * from final
