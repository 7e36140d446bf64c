"""Start, speak and end a command: arguments, Hydra, console, exit status."""
