"""Train one market from end to end."""
