"""Build the parts that the Studio's pages share."""
