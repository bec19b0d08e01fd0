{{ config(unique_key=['tenant_id', 'message_id']) }}

with next_actions as (
    select * from {{ ref('client_next_actions') }}
),

clients as (
    select * from {{ ref('client_journey') }}
),

-- Advice that changes and comes back is a new message; it holds until the next one.
messages as (
    select
        {{ hash_id([
            'next_actions.tenant_id',
            "'next_best_action'",
            "'webhook'",
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
        clients.client_name,
        clients.email
    from next_actions
    inner join clients
        on
            next_actions.tenant_id = clients.tenant_id
            and next_actions.client_id = clients.client_id
),

final as (
    select
        message_id,
        tenant_id,
        customer_id,
        'webhook' as destination,
        'post_event' as operation,
        {{ json_object({
            'id': 'message_id',
            'type': "'next_best_action'",
            'occurred_at': timestamp_text('advised_at'),
            'client': json_object({
                'client_id': 'client_id',
                'customer_id': 'customer_id',
                'name': 'client_name',
                'email': 'email',
            }),
            'action': 'next_best_action',
            'priority': 'priority',
            'reason': 'reason',
        }) }} as payload,
        advised_at as not_before,
        cast(null as {{ type_timestamptz() }}) as expires_at,
        'next_best_action' as purpose
    from messages
)

select * from final
