{{ config(unique_key=['tenant_id', 'message_id']) }}

with next_actions as (
    select * from {{ ref('client_next_actions') }}
),

customers as (
    select * from {{ ref('customers') }}
),

-- The webhook tells our own people; here the client's profile hears of it, so only clients who want
-- e-mail and can get it stand here.
messages as (
    select
        {{ hash_id([
            'next_actions.tenant_id',
            "'next_best_action'",
            "'klaviyo'",
            'next_actions.client_id',
            'next_actions.next_best_action',
            'next_actions.reason',
            'next_actions.priority',
            timestamp_text('next_actions.advised_at'),
        ]) }} as message_id,
        next_actions.tenant_id,
        next_actions.customer_id,
        next_actions.client_id,
        next_actions.next_best_action,
        next_actions.priority,
        next_actions.reason,
        next_actions.advised_at,
        customers.email
    from next_actions
    inner join customers
        on
            next_actions.tenant_id = customers.tenant_id
            and next_actions.customer_id = customers.customer_id
    where
        customers.email is not null
        and customers.email_subscribed
        and not customers.is_email_suppressed
),

final as (
    select
        message_id,
        tenant_id,
        customer_id,
        'klaviyo' as destination,
        'create_event' as operation,
        {{ klaviyo_event(
            metric="'Client: next best action'",
            email='email',
            properties=json_object({
                'client_id': 'client_id',
                'action': 'next_best_action',
                'priority': 'priority',
                'reason': 'reason',
            }),
            unique_id='message_id',
            occurred_at='advised_at'
        ) }} as payload,
        advised_at as not_before,
        cast(null as {{ type_timestamptz() }}) as expires_at,
        'next_best_action' as purpose
    from messages
)

select * from final
