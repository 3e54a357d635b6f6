-- One row for each file that was taken. It is PENDING until its text is there (COMPLETED) or it was refused
-- (FAILED); both are final.
CREATE TABLE file_uploads (
    id             uuid        PRIMARY KEY,
    batch_id       text        NOT NULL,
    user_id        text        NOT NULL,
    filename       text        NOT NULL,
    status         text        NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'COMPLETED', 'FAILED')),
    -- Null if the file could not be stored.
    raw_storage_id text,
    text_storage_id text,
    size_bytes     bigint      NOT NULL,
    content_md5    text,
    error_code     text,
    error_detail   jsonb,
    -- What the events of its processing say of the request that it came with, also after a restart.
    correlation_id uuid        NOT NULL,
    traceparent    text,
    tracestate     text,
    -- How often its processing was begun, and until when nobody else begins it.
    attempts       integer     NOT NULL DEFAULT 0,
    claimed_until  timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'COMPLETED') = (text_storage_id IS NOT NULL)),
    CHECK ((status = 'FAILED') = (error_code IS NOT NULL))
);

CREATE INDEX file_uploads_batch_idx ON file_uploads (batch_id, created_at);
CREATE INDEX file_uploads_pending_idx ON file_uploads (claimed_until) WHERE status = 'PENDING';
