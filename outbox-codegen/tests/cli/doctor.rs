//! `outbox doctor` on SQLite.

use serde_json::Value;

use crate::Place;

fn codes(place: &Place, code: i32) -> Vec<String> {
    let ran = place.run("doctor --json -D sqlite:shop.db");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["schema_version"], 1);
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_file_is_examined() {
    let place = Place::new();
    let ran = place.run("doctor -D sqlite:shop.db");
    ran.fails(1, &["there is no database"]);
    place.run("migrate -D sqlite:shop.db").done();
    assert_eq!(codes(&place, 0), ["no_relay"]);

    let path = place.path().join("shop.db");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for statement in [
        "PRAGMA journal_mode = DELETE",
        "DROP INDEX outbox_inbox_processed_at_idx",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    assert_eq!(codes(&place, 0), ["index_missing", "journal_mode", "no_relay"]);
    let shown = place.run("doctor -D sqlite:shop.db").done();
    assert!(shown.contains("sql: PRAGMA journal_mode = WAL"), "{shown}");
    assert!(shown.ends_with("0 serious, 1 warnings, 2 notes\n"), "{shown}");

    let shown = place.run("doctor -D sqlite:shop.db --prefix none_");
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(3), ""));
    assert!(
        shown.stdout.contains("run: outbox migrate --prefix none_"),
        "{shown:?}"
    );
}
