-- Messages come in any order, so every column but the key may be filled later.
CREATE TABLE batch_results (
    batch_id      TEXT PRIMARY KEY,
    user_id       TEXT,
    total_essays  BIGINT,
    -- Essays with a rank; none before the ranking is there.
    ranked        BIGINT,
    -- None until all results are there, then COMPLETED, COMPLETED_WITH_FAILURES or FAILED.
    status        TEXT CHECK (status IN ('COMPLETED', 'COMPLETED_WITH_FAILURES', 'FAILED'))
);

CREATE TABLE phase_results (
    batch_id  TEXT NOT NULL REFERENCES batch_results (batch_id),
    phase     TEXT NOT NULL,
    status    TEXT NOT NULL,
    PRIMARY KEY (batch_id, phase)
);

CREATE TABLE essay_results (
    batch_id     TEXT NOT NULL REFERENCES batch_results (batch_id),
    essay_id     TEXT NOT NULL,
    -- 1: its spelling was checked, so the result of that will come.
    awaited      BIGINT NOT NULL DEFAULT 0,
    word_count   BIGINT,
    corrections  BIGINT,
    rank         BIGINT,
    score        DOUBLE PRECISION,
    PRIMARY KEY (batch_id, essay_id)
);
