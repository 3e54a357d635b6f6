CREATE TABLE jobs (
    id              TEXT PRIMARY KEY,
    batch_id        TEXT NOT NULL UNIQUE,
    correlation_id  TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'RUNNING' CHECK (status IN ('RUNNING', 'COMPLETED', 'FAILED')),
    error_code      TEXT
);

CREATE TABLE rankings (
    job_id    TEXT NOT NULL REFERENCES jobs (id),
    essay_id  TEXT NOT NULL,
    rank      BIGINT NOT NULL,
    score     DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, essay_id)
);
