"""The documents of a catalog, as users write them, in frozen structs."""
