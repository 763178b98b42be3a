-- Artifacts: versions of named collections, and their contents by MD5 (base64).

CREATE TABLE IF NOT EXISTS artifact_types (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE IF NOT EXISTS collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type_id INTEGER NOT NULL REFERENCES artifact_types (id),
    name TEXT NOT NULL,
    description TEXT,
    -- How many versions were ever committed: the number of a deleted one is not given again.
    versions INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (project_id, name)
);

-- state: 'PENDING' until the client commits, then 'COMMITTED' with a version. Deleted ones are gone.
CREATE TABLE IF NOT EXISTS artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    -- The client's own name for it, known before the server's: makes a repeated creation the same one.
    client_id TEXT,
    run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    state TEXT NOT NULL DEFAULT 'PENDING',
    version INTEGER,
    digest TEXT NOT NULL,
    manifest_digest TEXT,
    description TEXT,
    metadata TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    -- Given at creation, effective from the commit on.
    requested_aliases TEXT NOT NULL DEFAULT '[]',
    history_step INTEGER,
    size INTEGER NOT NULL DEFAULT 0,
    file_count INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (collection_id, version)
);

CREATE INDEX IF NOT EXISTS artifacts_by_client ON artifacts (client_id);
CREATE INDEX IF NOT EXISTS artifacts_by_digest ON artifacts (collection_id, digest);
CREATE INDEX IF NOT EXISTS artifacts_by_manifest ON artifacts (manifest_digest);

CREATE TABLE IF NOT EXISTS artifact_aliases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    UNIQUE (collection_id, alias)
);

-- role: 'output' for runs that logged it, 'input' for runs that used it.
CREATE TABLE IF NOT EXISTS artifact_runs (
    role TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    PRIMARY KEY (role, run_id, artifact_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS artifact_runs_by_artifact ON artifact_runs (artifact_id, role);

-- What the manifest of a committed artifact lists. A reference has a URL and no contents here.
CREATE TABLE IF NOT EXISTS artifact_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    reference TEXT,
    UNIQUE (artifact_id, name)
);

CREATE INDEX IF NOT EXISTS artifact_entries_by_digest ON artifact_entries (digest);

-- What a pending artifact is going to hold: keeps contents that are there already from being removed.
CREATE TABLE IF NOT EXISTS artifact_claims (
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    md5 TEXT NOT NULL,
    PRIMARY KEY (artifact_id, md5)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS artifact_claims_by_md5 ON artifact_claims (md5);

CREATE TABLE IF NOT EXISTS artifact_blobs (
    md5 TEXT PRIMARY KEY,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL
) WITHOUT ROWID;
