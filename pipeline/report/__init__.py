"""Draw figures and pages of stored results, from the database and artifacts."""
