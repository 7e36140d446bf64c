"""Read and write the rows of the database, a file a kind."""
