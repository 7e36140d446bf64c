"""Define the tables of the database."""
