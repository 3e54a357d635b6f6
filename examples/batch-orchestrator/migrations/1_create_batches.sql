CREATE TABLE batches (
    id                    TEXT PRIMARY KEY,
    user_id               TEXT NOT NULL,
    course_code           TEXT NOT NULL,
    language              TEXT NOT NULL,
    correlation_id        TEXT NOT NULL,
    expected_essay_count  BIGINT NOT NULL,
    status                TEXT NOT NULL DEFAULT 'AWAITING_CONTENT' CHECK (status IN (
        'AWAITING_CONTENT', 'READY', 'PROCESSING', 'COMPLETED', 'COMPLETED_WITH_FAILURES', 'FAILED'
    )),
    current_phase         TEXT,
    CHECK ((status = 'PROCESSING') = (current_phase IS NOT NULL))
);

CREATE TABLE batch_phases (
    batch_id         TEXT NOT NULL REFERENCES batches (id),
    phase            TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('DISPATCHED', 'COMPLETED', 'FAILED')),
    -- Milliseconds since 1970.
    started_at_ms    BIGINT NOT NULL,
    completed_at_ms  BIGINT,
    PRIMARY KEY (batch_id, phase)
);

CREATE TABLE batch_essays (
    batch_id         TEXT NOT NULL REFERENCES batches (id),
    essay_id         TEXT NOT NULL,
    status           TEXT NOT NULL DEFAULT 'EXPECTED' CHECK (status IN ('EXPECTED', 'PRESENT', 'CHECKED', 'FAILED')),
    text_storage_id  TEXT,
    PRIMARY KEY (batch_id, essay_id)
);
