DROP INDEX file_uploads_text_idx;
DROP INDEX file_uploads_raw_idx;
DROP TABLE upload_requests;
