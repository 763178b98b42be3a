-- Runs and the lines their writers stream. Moments are seconds since the epoch.

CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    access TEXT NOT NULL DEFAULT 'PRIVATE',
    -- For registries: whether links to artifacts of any type are allowed.
    allows_all_types INTEGER NOT NULL DEFAULT 1,
    created_at REAL NOT NULL,
    UNIQUE (entity, name)
);

CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    -- As last reported. 'crashed' and 'preempted' follow from heartbeat_at when a run is read.
    state TEXT NOT NULL,
    exit_code INTEGER,
    stop_requested INTEGER NOT NULL DEFAULT 0,
    config TEXT NOT NULL DEFAULT '{}',
    summary TEXT NOT NULL DEFAULT '{}',
    tags TEXT NOT NULL DEFAULT '[]',
    notes TEXT,
    description TEXT,
    group_name TEXT,
    job_type TEXT,
    sweep_name TEXT,
    commit_hash TEXT,
    host TEXT,
    program TEXT,
    repo TEXT,
    -- Where in the history the lines of the current plain writer begin, whose offsets count from 0.
    history_base INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL,
    UNIQUE (project_id, name)
);

-- Every process that ever opened a run in shared mode.
CREATE TABLE IF NOT EXISTS writers (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    PRIMARY KEY (run_id, client)
) WITHOUT ROWID;

-- stream: 'history', 'events' or 'console'. step: the row's _step, in history only.
CREATE TABLE IF NOT EXISTS lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stream TEXT NOT NULL,
    position INTEGER NOT NULL,
    step INTEGER,
    text TEXT NOT NULL,
    PRIMARY KEY (run_id, stream, position)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS lines_by_step ON lines (run_id, step, position) WHERE step IS NOT NULL;

-- Where the lines of a shared-mode writer went: its offsets are its own.
CREATE TABLE IF NOT EXISTS shared_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stream TEXT NOT NULL,
    client TEXT NOT NULL,
    client_offset INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (run_id, stream, client, client_offset)
) WITHOUT ROWID;

-- Which keys a run's history has, so that nobody must read the rows to know.
CREATE TABLE IF NOT EXISTS history_keys (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run_id, key, type)
) WITHOUT ROWID;
