"""A made-up business world, written as landing files: the same arguments give the same bytes."""
