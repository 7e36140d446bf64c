"""Train many markets and judge them together."""
