"""From landing files to raw tables: contracts, reading, validating, loading."""
