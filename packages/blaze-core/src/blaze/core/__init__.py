"""Models: fields, relations, the registry, and the mappers with their generated functions."""
