"""Make the V3 document of a configuration, and define its signal."""
