-- Parts of a history that were exported to Parquet: the rows of the positions from first up to end (exclusive).
CREATE TABLE IF NOT EXISTS history_exports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    blob TEXT NOT NULL,
    UNIQUE (run_id, first)
);
