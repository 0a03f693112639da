"""What a person writes: the documents of a catalog, as frozen structs."""
