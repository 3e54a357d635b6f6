//! What the tables hold and refuse.

use super::*;

on_all_versions! {
    the_messages_have_the_promised_columns_in_their_order,
    a_plain_insert_of_five_columns_is_a_message,
    two_payloads_or_headers_that_are_no_object_are_refused,
    the_size_of_a_payload_is_known_without_reading_it,
    a_writer_needs_no_right_to_our_columns,
}

async fn the_messages_have_the_promised_columns_in_their_order(version: PostgresVersion) {
    let database = migrated(version).await;
    let columns: Vec<(String, String, bool, Option<String>)> = sqlx::query_as(
        "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                pg_get_expr(d.adbin, d.adrelid) \
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = 'outbox_messages'::regclass AND a.attnum > 0 ORDER BY a.attnum",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let columns: Vec<String> = columns
        .into_iter()
        .map(|(name, kind, required, default)| {
            let required = if required { " not null" } else { "" };
            let default = default
                .map(|default| format!(" default {default}"))
                .unwrap_or_default();
            format!("{name} {kind}{required}{default}")
        })
        .collect();
    assert_eq!(
        columns,
        [
            "xid xid8 not null default pg_current_xact_id()",
            "seq bigint not null",
            "id uuid not null default gen_random_uuid()",
            "aggregate_type text not null",
            "aggregate_id text not null",
            "event_type text not null",
            "topic text not null",
            "payload json",
            "payload_binary bytea",
            "content_type text not null default 'application/json'::text",
            "source text",
            "headers jsonb not null default '{}'::jsonb",
            "occurred_at timestamp with time zone not null default now()",
        ]
    );
}

async fn a_plain_insert_of_five_columns_is_a_message(version: PostgresVersion) {
    let database = migrated(version).await;
    run(&database.pool, INSERT).await.unwrap();
    let (seq, version, payload): (i64, String, String) =
        sqlx::query_as("SELECT seq, substr(id::text, 15, 1), payload::text FROM outbox_messages")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!((seq, version.as_str()), (1, "4"));
    assert_eq!(payload, "{\"b\": 1, \"a\":\"q\\\"uote\"}");
}

async fn two_payloads_or_headers_that_are_no_object_are_refused(version: PostgresVersion) {
    let database = migrated(version).await;
    for (columns, values, constraint) in [
        (
            "payload, payload_binary",
            "'{}', '\\x00'",
            "outbox_messages_one_payload",
        ),
        ("headers", "'[]'", "outbox_messages_headers_object"),
    ] {
        let insert = format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, {columns}) \
             VALUES ('a', 'k', 'E', 't', {values})"
        );
        let error = run(&database.pool, insert).await.unwrap_err().to_string();
        assert!(error.contains(constraint), "{error}");
    }
}

async fn the_size_of_a_payload_is_known_without_reading_it(version: PostgresVersion) {
    let database = migrated(version).await;
    run(
        &database.pool,
        "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload) \
         VALUES ('a', 'k', 'E', 't', to_json(repeat('x', 100000)))",
    )
    .await
    .unwrap();
    let size: i32 = sqlx::query_scalar("SELECT pg_column_size(payload) FROM outbox_messages")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(size, 100_002);
}

async fn a_writer_needs_no_right_to_our_columns(version: PostgresVersion) {
    let database = migrated(version).await;
    let role = format!("writer_{}", uuid::Uuid::now_v7().simple());
    let grant = Migration::create(Dialect::Postgres, &Tables::default())
        .up()
        .lines()
        .map(|line| line.trim_start_matches("--").trim())
        .skip_while(|line| !line.starts_with("GRANT"))
        .take(2)
        .collect::<String>();
    run(
        &database.pool,
        format!("CREATE ROLE {role}; {}", grant.replace("<role>", &role)),
    )
    .await
    .unwrap();
    run(
        &database.pool,
        format!("BEGIN; SET LOCAL ROLE {role}; {INSERT}; COMMIT"),
    )
    .await
    .unwrap();
    let with_xid = INSERT
        .replace("payload)", "payload, xid)")
        .replace("}')", "}', '3')");
    let error = run(
        &database.pool,
        format!("BEGIN; SET LOCAL ROLE {role}; {with_xid}; COMMIT"),
    )
    .await;
    assert!(error.unwrap_err().to_string().contains("permission denied"));
    drop_role(&database.pool, &role).await;
}
