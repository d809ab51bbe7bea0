"""Alembic's entrance: the steps are made on the connection, and in the transaction, that the store lends it."""

from alembic import context

from app.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite has it; Alembic does not count on it
)
context.run_migrations()
