"""The database's migrations (Alembic) and `schema.sql`, the same schema for ``psql -f``.

A package, so that an installed copy finds its migrations where a checkout does. They run by
themselves when a database is opened (`pipeline.results.database`); there is no ``alembic.ini``.
After a change of `pipeline.results.tables.models`, write the next file in ``versions`` by hand and
run ``scripts/schema``: tests compare models, migrations and ``schema.sql``.
"""
