"""Operations of our own: compare a fact with what is wanted, and yield the commands between."""
