{{ config(unique_key=['tenant_id', 'referral_id']) }}

-- Over all uses of codes in every build: who referred whom does not depend on who was touched. The
-- friend is the owner of the e-mail, else of the phone; the first use of any code decides.
with referrals as (
    select * from {{ ref('stg_loyalty__referrals') }}
),

email_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

phone_owners as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

known_codes as (
    select * from {{ ref('int_loyalty__known_codes') }}
),

first_orders as (
    select * from {{ ref('int_loyalty__first_orders') }}
    where movement_type = 'order'
),

owned_referrals as (
    select
        referrals.tenant_id,
        referrals.referral_id,
        referrals.referral_code,
        referrals.order_id,
        referrals.used_at,
        known_codes.customer_id as referrer_id,
        coalesce(email_owners.customer_id, phone_owners.customer_id) as friend_id
    from referrals
    left join known_codes
        on
            referrals.tenant_id = known_codes.tenant_id
            and referrals.referral_code = known_codes.referral_code
    left join email_owners
        on
            referrals.tenant_id = email_owners.tenant_id
            and 'email:' || referrals.referred_email = email_owners.identifier_key
    left join phone_owners
        on
            referrals.tenant_id = phone_owners.tenant_id
            and 'phone:' || referrals.referred_phone = phone_owners.identifier_key
),

uses as (
    select
        owned_referrals.*,
        row_number() over (
            partition by tenant_id, friend_id
            order by used_at, referral_id
        ) as use_number
    from owned_referrals
),

final as (
    select
        uses.tenant_id,
        uses.referral_id,
        uses.referral_code,
        uses.referrer_id,
        uses.friend_id,
        uses.used_at,
        case
            when uses.referrer_id is null then 'unknown_code'
            when uses.friend_id is null then 'pending'
            when uses.referrer_id = uses.friend_id then 'self_referral'
            when uses.use_number > 1 then 'referred_before'
            when first_orders.order_id is null then 'pending'
            when
                first_orders.ordered_at >= uses.used_at
                or {{ id_at_source('first_orders.order_id') }} = uses.order_id
                then 'converted'
            else 'customer_before'
        end as status,
        first_orders.order_id as first_order_id
    from uses
    left join first_orders
        on
            uses.tenant_id = first_orders.tenant_id
            and uses.friend_id = first_orders.customer_id
)

select * from final
