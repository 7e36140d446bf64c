"""Alembic's environment, which `pipeline.results.access.migrations` drives and no command line.

Online it is handed an open connection, already inside the transaction that holds the lock.
Offline it writes PostgreSQL's SQL into the configuration's output buffer, without a server.
"""

from alembic import context

from pipeline.results.tables import live_models, notice_models  # noqa: F401  (their tables)
from pipeline.results.tables.models import Base

if context.is_offline_mode():
    context.configure(
        url="postgresql+psycopg2://",
        target_metadata=Base.metadata,
        literal_binds=True,
        output_buffer=context.config.output_buffer,
    )
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters a table only by copying it
        transactional_ddl=True,  # SQLite too, with the BEGIN that pipeline.results.database emits
    )

with context.begin_transaction():
    context.run_migrations()
