-- Files of runs. Contents lie in the blob folder under names of our own making.

CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    mimetype TEXT NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (run_id, name)
);
