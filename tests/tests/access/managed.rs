//! A PostgreSQL that refuses functions, as managed ones do.

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::program::{Ran, Running, command};
use outbox_tests::servers::brokers;
use sqlx::{AssertSqlSafe, Postgres};

/// Nobody but the superuser may call them.
const REVOKED: &str = "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_current_wal_lsn(), pg_walfile_name(pg_lsn) FROM PUBLIC";

/// Others of the same names raise what they like.
const SHIMS: &str = "CREATE SCHEMA shim;
    CREATE FUNCTION shim.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'not supported on this server' USING ERRCODE = '55000'; END $$;
    CREATE FUNCTION shim.pg_control_system(OUT system_identifier bigint) LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'must be superuser'; END $$";

async fn run(database: &TestDatabase<Postgres>, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&database.pool)
        .await
        .unwrap();
}

async fn insert(database: &TestDatabase<Postgres>, topic: &Topic) {
    let insert = "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
                  VALUES ('order', '1', 'OrderPlacedV1', $1, '1')";
    sqlx::query(insert)
        .bind(topic.name())
        .execute(&database.pool)
        .await
        .unwrap();
}

/// A database that refuses, and the URL that leads to it.
async fn refusing(shims: bool) -> (TestDatabase<Postgres>, String) {
    let database = TestDatabase::postgres().await;
    let mut url = url::Url::parse(&database.url()).unwrap();
    if shims {
        run(&database, SHIMS).await;
        url.query_pairs_mut()
            .append_pair("options", "-c search_path=shim,pg_catalog,public");
        return (database, url.into());
    }
    let role = format!("managed_{}", url.path().trim_start_matches('/'));
    run(&database, REVOKED).await;
    run(
        &database,
        &format!(
            "CREATE ROLE {role} LOGIN;
             GRANT USAGE ON SCHEMA public TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
        ),
    )
    .await;
    url.set_username(&role).unwrap();
    (database, url.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_goes_without_what_is_refused_and_says_what_is_lost() {
    for shims in [true, false] {
        let (database, url) = refusing(shims).await;
        let topic = Topic::create("managed", 1).await;
        for delivery in ["at-least-once", "exactly-once"] {
            insert(&database, &topic).await;
            let relay = format!("relay --delivery {delivery} -D {url} --brokers {}", brokers());
            let ran = Ran::of(&mut command(&format!("{relay} --until-empty"))).await;
            let lost = [
                "recognised there by its database, table and transaction ids alone",
                "will be neither detected nor counted",
            ];
            for lost in lost {
                assert_eq!(
                    ran.stderr.matches(lost).count(),
                    1,
                    "{delivery}, {shims}: {}",
                    ran.stderr
                );
            }
            assert_eq!(ran.done(), "delivered 1 messages\n", "{delivery}, {shims}");
            Ran::of(&mut command(&format!("status -D {url}"))).await.done();
            Ran::of(&mut command(&format!("adopt -D {url}"))).await.done();
        }
        assert_eq!(topic.read_committed().await.len(), 2);
        if !shims {
            let role = url::Url::parse(&url).unwrap().username().to_owned();
            run(&database, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
        }
    }
}

/// What was known of the log's place is not forgotten, nor taken for another place.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_and_given_back_changes_nothing() {
    let database = TestDatabase::postgres().await;
    let topic = Topic::create("managed", 1).await;
    run(&database, SHIMS).await;
    let mut refusing = url::Url::parse(&database.url()).unwrap();
    refusing
        .query_pairs_mut()
        .append_pair("options", "-c search_path=shim,pg_catalog,public");
    let place = "SELECT system_identifier, timeline FROM outbox_cursor";
    let mut known: Vec<(Option<String>, Option<String>)> = Vec::new();
    for url in [database.url(), refusing.into(), database.url()] {
        insert(&database, &topic).await;
        let relay = format!("relay -D {url} --brokers {} --until-empty", brokers());
        assert_eq!(
            Ran::of(&mut command(&relay)).await.done(),
            "delivered 1 messages\n"
        );
        known.push(sqlx::query_as(place).fetch_one(&database.pool).await.unwrap());
    }
    assert!(known[0].0.is_some() && known[0].1.is_some(), "{known:?}");
    assert!(known.iter().all(|place| *place == known[0]), "{known:?}");
    let mut relay = Running::start(command(&format!(
        "relay -D {} --brokers {}",
        database.url(),
        brokers()
    )));
    relay.says("this relay is the active one").await;
    assert_eq!(relay.stop().await.code, Some(0));
}
