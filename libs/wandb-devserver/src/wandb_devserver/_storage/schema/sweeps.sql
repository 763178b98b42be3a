-- Sweeps, the agents that work for them, and the runs handed to agents. Moments are seconds since the epoch.

CREATE TABLE IF NOT EXISTS sweeps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    display_name TEXT,
    description TEXT,
    -- YAML, as the client sent it.
    config TEXT NOT NULL,
    -- PENDING, RUNNING, PAUSED, FINISHED or CANCELED.
    state TEXT NOT NULL,
    controller TEXT,
    scheduler TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE IF NOT EXISTS agents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    -- Whether it received the command to exit.
    dismissed INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS trials (
    run_id INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    agent_id INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    -- The parameters chosen for it, as JSON.
    parameters TEXT NOT NULL,
    -- Whether the agent ever reported that it runs.
    reported INTEGER NOT NULL DEFAULT 0,
    -- Whether the command was sent twice.
    repeated INTEGER NOT NULL DEFAULT 0,
    -- Whether the agent has finished it.
    released INTEGER NOT NULL DEFAULT 0,
    -- Whether the agent is to stop it.
    stopping INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX IF NOT EXISTS trials_by_sweep ON trials (sweep_id);
CREATE INDEX IF NOT EXISTS trials_by_agent ON trials (agent_id);
CREATE INDEX IF NOT EXISTS runs_by_sweep ON runs (project_id, sweep_name) WHERE sweep_name IS NOT NULL;

-- Runs that were added to a sweep when it was created.
CREATE TABLE IF NOT EXISTS prior_runs (
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (sweep_id, run_id)
) WITHOUT ROWID;
