"""How often the whole pipeline finds an edge that is there, and one that is not."""
