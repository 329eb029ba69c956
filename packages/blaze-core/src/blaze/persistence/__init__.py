"""Sessions: unit of work, identity map, flush, loading and transactions."""
