"""The search: a space of combinations, methods that ask for points in it, and one ranking."""
