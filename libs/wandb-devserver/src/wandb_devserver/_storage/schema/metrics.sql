-- Numbers of complete blocks of lines, so that a chart of a long run need not read every line.
-- stream: 'history' or 'events'. A block that was summarized has a row with the key ''.
CREATE TABLE IF NOT EXISTS metric_blocks (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    stream TEXT NOT NULL,
    key TEXT NOT NULL,
    block INTEGER NOT NULL,
    -- How many values the block has; points holds fewer where minima and maxima stand for the rest.
    count INTEGER NOT NULL,
    -- Step, timestamp (NaN without one) and value of each, as little-endian doubles.
    points BLOB NOT NULL,
    PRIMARY KEY (run_id, stream, key, block)
) WITHOUT ROWID;

-- Where in a run's history the values are that are not numbers, such as images and histograms.
CREATE TABLE IF NOT EXISTS media_values (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    type TEXT NOT NULL,
    PRIMARY KEY (run_id, key, position)
) WITHOUT ROWID;
