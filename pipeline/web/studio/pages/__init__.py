"""Build one page of the Studio a file."""
