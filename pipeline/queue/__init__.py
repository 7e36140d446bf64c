"""Run jobs that wait in the database: lease, dispatcher, supervisor."""
