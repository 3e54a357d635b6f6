CREATE TABLE jobs (
    batch_id     TEXT NOT NULL,
    essay_id     TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('COMPLETED', 'FAILED')),
    word_count   BIGINT NOT NULL,
    corrections  BIGINT NOT NULL,
    PRIMARY KEY (batch_id, essay_id)
);
