"""A server that enforces the rules of the destinations, and can be told to fail."""
