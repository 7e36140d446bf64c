"""Look at a stored configuration again: explain, verify, monitor, live orders."""
