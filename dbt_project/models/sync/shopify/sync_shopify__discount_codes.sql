{{ config(
    unique_key=['tenant_id', 'message_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- What a shop must know for its checkout to take a code: active coupons, and rewards granted that
-- wait to be used. A code is made once, so the message is about the code and not about its terms.
with coupons as (
    select * from {{ ref('coupons') }}
    where status = 'active'
),

redemptions as (
    select * from {{ ref('reward_redemptions') }}
    where status = 'pending'
),

rewards as (
    select * from {{ ref('int_loyalty__rewards') }}
    where reward_type <> 'exclusive_access'
),

tenants as (
    select * from {{ ref('int_tenants__settings') }}
),

numbered_coupons as (
    select
        coupons.*,
        row_number() over (
            partition by tenant_id, code
            order by updated_at desc nulls last, coupon_id
        ) as choice
    from coupons
),

coupon_codes as (
    select
        tenant_id,
        cast(null as {{ dbt.type_string() }}) as customer_id,
        code,
        discount_type,
        discount_value,
        currency,
        starts_at,
        expires_at,
        usage_limit,
        coalesce(usage_limit_per_customer = 1, false) as once_per_customer,
        minimum_purchase_amount,
        minimum_quantity,
        buy_quantity,
        get_quantity,
        restricted_collections,
        restricted_products,
        is_first_time_only,
        coalesce(updated_at, starts_at, cast('1970-01-01' as {{ type_timestamptz() }}))
            as not_before
    from numbered_coupons
    where choice = 1
),

-- Leaves out rewards that are no discount, and those that the seed no longer lists.
reward_codes as (
    select
        redemptions.tenant_id,
        redemptions.customer_id,
        redemptions.code,
        case rewards.reward_type
            when 'fixed_discount' then 'fixed_amount'
            when 'free_shipping' then 'free_shipping'
            else 'percentage'
        end as discount_type,
        cast(
            case rewards.reward_type
                when 'free_product' then 100
                when 'free_shipping' then null
                else rewards.reward_value
            end as numeric(14, 2)
        ) as discount_value,
        tenants.currency,
        redemptions.decided_at as starts_at,
        redemptions.expires_at,
        1 as usage_limit,
        true as once_per_customer,
        cast(null as numeric(14, 2)) as minimum_purchase_amount,
        cast(null as bigint) as minimum_quantity,
        cast(null as bigint) as buy_quantity,
        cast(null as bigint) as get_quantity,
        {{ json_array([]) }} as restricted_collections,
        case
            when rewards.reward_type = 'free_product' then {{ json_array(['rewards.product_id']) }}
            else {{ json_array([]) }}
        end as restricted_products,
        false as is_first_time_only,
        redemptions.decided_at as not_before
    from redemptions
    inner join rewards
        on
            redemptions.tenant_id = rewards.tenant_id
            and redemptions.reward_id = rewards.reward_id
    inner join tenants on redemptions.tenant_id = tenants.tenant_id
),

all_codes as (
    select * from coupon_codes
    union all
    select * from reward_codes
),

final as (
    select
        {{ hash_id(['tenant_id', "'discount_code'", 'code']) }} as message_id,
        tenant_id,
        customer_id,
        'shopify' as destination,
        'create_discount_code' as operation,
        {{ json_object({
            'code': 'code',
            'discount_type': 'discount_type',
            'value': 'discount_value',
            'currency': 'currency',
            'starts_at': timestamp_text('starts_at'),
            'ends_at': timestamp_text('expires_at'),
            'usage_limit': 'usage_limit',
            'once_per_customer': 'once_per_customer',
            'minimum_purchase_amount': 'minimum_purchase_amount',
            'minimum_quantity': 'minimum_quantity',
            'buy_quantity': 'buy_quantity',
            'get_quantity': 'get_quantity',
            'collections': 'restricted_collections',
            'products': 'restricted_products',
            'first_time_only': 'is_first_time_only',
        }) }} as payload,
        not_before,
        expires_at,
        'discount_code' as purpose
    from all_codes
)

select * from final
