{{ config(
    unique_key=['tenant_id', 'message_id'],
    indexes=[{'columns': ['tenant_id', 'customer_id']}],
) }}

-- A gift that was delivered by now and waits to be claimed. It goes to whom it was bought for, who
-- need not be a customer and was not asked about marketing.
with gifts as (
    select * from {{ ref('gifts') }}
    where
        status = 'delivered'
        and recipient_email is not null
),

people as (
    select * from {{ ref('int_identity__people') }}
    where customer_id is not null
),

messages as (
    select
        gifts.*,
        people.customer_id as recipient_id,
        {{ hash_id(['gifts.tenant_id', "'gift_delivery'", 'gifts.gift_id']) }} as message_id
    from gifts
    left join people
        on
            gifts.tenant_id = people.tenant_id
            and 'email:' || gifts.recipient_email = people.identifier_key
),

final as (
    select
        message_id,
        tenant_id,
        recipient_id as customer_id,
        'klaviyo' as destination,
        'create_event' as operation,
        {{ klaviyo_event(
            metric="'Gift: delivered'",
            email='recipient_email',
            properties=json_object({
                'gift_id': 'gift_id',
                'gift_code': 'code',
                'sender_name': 'sender_name',
                'recipient_name': 'recipient_name',
                'message': 'message',
                'gift_expires_at': timestamp_text('expires_at'),
            }),
            unique_id='message_id',
            occurred_at='delivered_at'
        ) }} as payload,
        delivered_at as not_before,
        expires_at,
        'gift_delivery' as purpose
    from messages
)

select * from final
