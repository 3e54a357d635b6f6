//! What the tables hold and refuse.

use super::*;

#[tokio::test]
async fn a_plain_insert_of_five_columns_is_a_message() {
    let database = migrated().await;
    run(&database.pool, INSERT).await.unwrap();
    let (seq, id, payload, content_type, headers, occurred_at): (
        i64,
        String,
        String,
        String,
        String,
        String,
    ) = sqlx::query_as("SELECT seq, id, payload, content_type, headers, occurred_at FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(
        (seq, content_type.as_str(), headers.as_str()),
        (1, "application/json", "{}")
    );
    assert_eq!(payload, "{\"b\": 1, \"a\":\"q\\\"uote\"}");
    let uuid = uuid::Uuid::parse_str(&id).unwrap();
    assert_eq!((uuid.get_version_num(), uuid.to_string()), (4, id));
    assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
    assert!(occurred_at.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(&occurred_at).is_ok());
}

#[tokio::test]
async fn rows_that_a_relay_could_not_read_are_refused() {
    let database = migrated().await;
    let insert = |columns: &str, values: &str| {
        format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, {columns}) \
             VALUES ('a', 'k', 'E', 't', {values})"
        )
    };
    for (columns, values, constraint) in [
        ("payload", "'{'", "outbox_messages_payload_json"),
        ("payload", "x'7b7d'", "outbox_messages_payload_json"),
        ("payload_binary", "'text'", "outbox_messages_payload_blob"),
        (
            "payload, payload_binary",
            "'{}', x'00'",
            "outbox_messages_one_payload",
        ),
        ("headers", "'[]'", "outbox_messages_headers_object"),
        (
            "id",
            "'F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6'",
            "outbox_messages_id_uuid",
        ),
        (
            "id",
            "'f81d4fae-7dec-11d0-a765-00a0c91e6b-6'",
            "outbox_messages_id_uuid",
        ),
        ("id", "x'00'", "outbox_messages_id_uuid"),
        ("occurred_at", "'yesterday'", "outbox_messages_occurred_at_time"),
        ("occurred_at", "1700000000", "outbox_messages_occurred_at_time"),
    ] {
        let error = run(&database.pool, insert(columns, values))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(constraint), "{columns} = {values}: {error}");
    }
    for (columns, values) in [
        ("payload", "NULL"),
        ("payload_binary", "x'00ff'"),
        ("id", "'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'"),
        ("occurred_at", "'2025-06-01T10:00:00.123456Z'"),
        ("occurred_at", "CURRENT_TIMESTAMP"),
    ] {
        run(&database.pool, insert(columns, values)).await.unwrap();
    }
}

#[tokio::test]
async fn a_number_is_not_used_again_after_the_newest_row_went() {
    let database = migrated().await;
    run(
        &database.pool,
        format!("{INSERT}; DELETE FROM outbox_messages; {INSERT}"),
    )
    .await
    .unwrap();
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(seq, 2);
}
