"""Alembic's entry point: runs the migrations on the connection, and in the transaction, of the store."""

from alembic import context

from app.store.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite supports it; Alembic's default is False
)
context.run_migrations()
