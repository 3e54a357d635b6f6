-- A batch that was heard of, by its registration or by a file of it.
CREATE TABLE batches (
    batch_id   TEXT PRIMARY KEY,
    -- UNREGISTERED until its essays are known, WAITING until each slot has a file, then READY.
    status     TEXT NOT NULL CHECK (status IN ('UNREGISTERED', 'WAITING', 'READY'))
);

-- A place for an essay. A file whose text was refused takes a place, too: nothing else will come for it.
CREATE TABLE slots (
    essay_id         TEXT PRIMARY KEY,
    batch_id         TEXT NOT NULL REFERENCES batches (batch_id),
    position         BIGINT NOT NULL,
    file_upload_id   TEXT UNIQUE,
    text_storage_id  TEXT,
    UNIQUE (batch_id, position)
);

-- Files that were heard of, maybe before their batch was.
CREATE TABLE files (
    file_upload_id   TEXT PRIMARY KEY,
    batch_id         TEXT NOT NULL,
    -- None for one whose text was refused.
    text_storage_id  TEXT,
    essay_id         TEXT REFERENCES slots (essay_id)
);
CREATE INDEX files_waiting ON files (batch_id, file_upload_id) WHERE essay_id IS NULL;
