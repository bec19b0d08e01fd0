{{ config(unique_key=['tenant_id', 'client_id']) }}

-- No mart changes while an order lacks its rate, so what is made from this waits for that test.
-- depends_on: {{ ref('int_orders__rated') }}
-- A client is a contact. Who the contact id belongs to is the client's customer; an id that is
-- blocked names nobody, so such a contact is no client.
with contacts as (
    {{ owned_rows('stg_clients__contacts', 'contacts') }}
),

identifiers as (
    select * from {{ ref('int_customers__identifiers') }}
),

final as (
    select
        contacts.tenant_id,
        contacts.client_id,
        identifiers.customer_id,
        contacts.client_name,
        contacts.email,
        contacts.ai_score,
        contacts.status,
        contacts.first_seen_at,
        contacts.updated_at
    from contacts
    -- by the indexed key: how many contacts there are is no good guess of the planner's
    inner join identifiers
        on
            contacts.tenant_id = identifiers.tenant_id
            and 'contact:' || contacts.client_id = identifiers.identifier_key
)

select * from final
