"""Search a space of combinations: methods that draw points, one evaluator, one ranking."""
