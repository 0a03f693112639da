"""Children: how they are started, what they may use, and how much of what they say is read."""
