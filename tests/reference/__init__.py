"""The customer rules once more: slow, plain, and independent of the SQL that they check."""
