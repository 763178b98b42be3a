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
    -- 'SEQUENCE' for versions that runs log, 'PORTFOLIO' for links to versions of sequences.
    kind TEXT NOT NULL,
    description TEXT,
    -- Count of all versions ever added: the number of a deleted version is never reused.
    versions INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (project_id, name)
);

-- state: 'PENDING' until the client commits, then 'COMMITTED' with a version. Deleted ones are gone.
CREATE TABLE IF NOT EXISTS artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    -- Shared by the writers of one distributed artifact.
    distributed_id TEXT,
    run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    state TEXT NOT NULL DEFAULT 'PENDING',
    version INTEGER,
    digest TEXT NOT NULL,
    -- That of the digests of its files: 'MANIFEST_MD5' or 'MANIFEST_XXH128'.
    digest_algorithm TEXT NOT NULL,
    manifest_digest TEXT,
    description TEXT,
    metadata TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    -- Given at creation, effective from the commit on.
    requested_aliases TEXT NOT NULL DEFAULT '[]',
    history_step INTEGER,
    commit_hash TEXT,
    -- NULL: inherited from the collection. Not positive: disabled.
    ttl_seconds INTEGER,
    size INTEGER NOT NULL DEFAULT 0,
    file_count INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    UNIQUE (collection_id, version)
);

-- Ids that clients generated before the server knew the artifact. They make a repeated creation idempotent.
CREATE TABLE IF NOT EXISTS artifact_clients (
    client_id TEXT PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS artifacts_by_digest ON artifacts (collection_id, digest);
CREATE INDEX IF NOT EXISTS artifacts_by_manifest ON artifacts (manifest_digest);

-- Versions of a collection: every committed artifact is one in its sequence, and one in each portfolio that links to it.
CREATE TABLE IF NOT EXISTS memberships (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (collection_id, version),
    UNIQUE (collection_id, artifact_id)
);

CREATE INDEX IF NOT EXISTS memberships_by_artifact ON memberships (artifact_id);

CREATE TABLE IF NOT EXISTS collection_tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE (collection_id, name)
);

-- Manifests as clients upload them. type: 'FULL', 'INCREMENTAL' (adds to a base artifact) or 'PATCH' (one of several
-- writers). The manifest of a committed artifact is artifacts.manifest_digest.
CREATE TABLE IF NOT EXISTS artifact_manifests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    base_artifact_id INTEGER REFERENCES artifacts (id) ON DELETE SET NULL,
    -- NULL until the client has written it.
    digest TEXT
);

CREATE INDEX IF NOT EXISTS artifact_manifests_by_artifact ON artifact_manifests (artifact_id);
CREATE INDEX IF NOT EXISTS artifact_manifests_by_digest ON artifact_manifests (digest);

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

-- Large files that are uploaded in parts, each a blob until the upload is completed.
CREATE TABLE IF NOT EXISTS multipart_uploads (
    id TEXT PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    md5 TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS upload_parts (
    upload_id TEXT NOT NULL REFERENCES multipart_uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    md5 TEXT NOT NULL,
    PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
