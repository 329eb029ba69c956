"""A small lending library, written with Blaze."""
