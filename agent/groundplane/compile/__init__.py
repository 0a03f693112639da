"""From a catalog and its addresses to the compiled site: selectors matched, numbers assigned."""
