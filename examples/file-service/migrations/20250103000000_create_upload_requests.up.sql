-- Requests that uploaded files, by the key that their sender gave them. One that comes again changes nothing.
CREATE TABLE upload_requests (
    user_id     text        NOT NULL,
    batch_id    text        NOT NULL,
    request_key text        NOT NULL,
    -- What it has uploaded, in the order of its form.
    upload_ids  uuid[]      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, batch_id, request_key)
);

-- Contents that no upload refers to are looked for by their ids.
CREATE INDEX file_uploads_raw_idx ON file_uploads (raw_storage_id);
CREATE INDEX file_uploads_text_idx ON file_uploads (text_storage_id);
