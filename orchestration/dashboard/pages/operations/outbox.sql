select
    purpose,
    destination,
    state,
    messages,
    updated_at
from ops.messages_of_tenant()
order by purpose, destination, state
