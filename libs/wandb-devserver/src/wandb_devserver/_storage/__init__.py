"""The records on disk: SQLite for what is said, a folder for file contents."""
