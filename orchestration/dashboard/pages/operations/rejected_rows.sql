select
    file,
    line,
    reasons,
    left(content, 300) as content
from ops.rejected_rows_of_tenant(:rows)
