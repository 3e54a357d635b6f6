//! `outbox prune`, and the relay's own retention, by the rights that the documentation lists.

use outbox_runtime::Tables;
use outbox_runtime::schema::Role;
use outbox_tests::program::{Ran, command};
use outbox_tests::servers::PostgresVersion;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::scene::{Scene, insert};

async fn outbox(arguments: &str) -> Ran {
    Ran::of(&mut command(arguments)).await
}

/// A role, and the database's URL for it.
async fn role(scene: &Scene) -> (String, String) {
    let name = format!("pruner_{}", Uuid::new_v4().simple());
    scene.run(&format!("CREATE ROLE {name} LOGIN")).await;
    let mut url = url::Url::parse(&scene.database.url()).unwrap();
    url.set_username(&name).unwrap();
    (name, url.into())
}

async fn forget(scene: &Scene, name: &str) {
    scene
        .run(&format!(
            "REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_go_and_a_run_deletes_it() {
    let scene = Scene::new().await;
    let url = scene.database.url();
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    insert(scene.pool(), 5).await;
    let said = outbox(&format!("prune -D {url} --keep until-acknowledged --dry-run"))
        .await
        .done();
    assert_eq!(
        said,
        "dry run: nothing was deleted\nwould delete  10 delivered messages\n"
    );
    assert_eq!(scene.messages().await, 15);
    let said = outbox(&format!("prune -D {url} --keep 7d --json")).await.done();
    assert!(said.starts_with(r#"{"dry_run":false,"messages":0,"#), "{said}");
    let said = outbox(&format!("prune -D {url} --keep until-acknowledged"))
        .await
        .done();
    assert_eq!(said, "deleted  10 delivered messages\n");
    assert_eq!(scene.messages().await, 5);

    outbox(&format!("prune -D {url}"))
        .await
        .fails(2, &["--keep", "--keep-bytes", "--dead-letters"]);
    outbox(&format!("prune -D {url} --keep 7w"))
        .await
        .fails(2, &["7d", "until-acknowledged"]);
    outbox(&format!("prune -D {url} --keep 0d"))
        .await
        .fails(2, &["retention", "keep"]);
    outbox("prune -D postgres://127.0.0.1:1/x --keep 1d")
        .await
        .fails(4, &["cannot be reached"]);
    scene
        .run("UPDATE outbox_cursor SET system_identifier = '1'")
        .await;
    outbox(&format!("prune -D {url} --keep 1d"))
        .await
        .fails(1, &["outbox adopt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruner_works_with_what_is_documented_and_names_what_is_missing() {
    let scene = Scene::new().await;
    insert(scene.pool(), 10).await;
    scene.deliver().await;
    let (name, url) = role(&scene).await;
    let prune = format!("prune -D {url} --keep until-acknowledged --dead-letters 1d");
    let check = format!("migration check -D {url} --role pruner");
    for grant in Role::Pruner.grants(&Tables::default(), "public", &name) {
        if !grant.contains("USAGE") {
            let ran = outbox(&prune).await;
            let (rights, _) = grant.split_once(" TO ").unwrap();
            let wanted = rights.rsplit_once('.').unwrap().1;
            assert_eq!(ran.code, Some(2), "{ran:?}");
            assert!(
                ran.stderr.contains("GRANT") && ran.stderr.contains(wanted),
                "{wanted}: {ran:?}"
            );
            assert_eq!(outbox(&check).await.code, Some(3));
        }
        scene.run(&grant).await;
    }
    outbox(&check).await.done();
    assert_eq!(outbox(&prune).await.done(), "deleted  10 delivered messages\n");
    forget(&scene, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_retention_that_may_not_delete_ends_at_its_start() {
    let scene = Scene::new().await;
    let (name, url) = role(&scene).await;
    for grant in Role::Relay.grants(&Tables::default(), "public", &name) {
        scene.run(&grant).await;
    }
    let relay = format!("relay -D {url} --brokers 127.0.0.1:1 --lease-ttl 1s --retention 1d");
    outbox(&relay)
        .await
        .fails(2, &["GRANT DELETE ON public.outbox_messages TO"]);
    outbox("relay -D sqlite:x --brokers b:1 --retention 1x")
        .await
        .fails(2, &["until-acknowledged"]);
    forget(&scene, &name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_pruned_by_their_owner_alone() {
    let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
    insert(scene.pool(), 150).await;
    scene.deliver().await;
    let (name, url) = role(&scene).await;
    for grant in Role::Pruner.grants(&Tables::default(), "public", &name) {
        scene.run(&grant).await;
    }
    let prune = format!("prune -D {url} --keep until-acknowledged");
    outbox(&prune)
        .await
        .fails(2, &["does not own the partitions", "OWNER TO"]);
    let parts: Vec<String> = sqlx::query_scalar(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'outbox_messages'::regclass",
    )
    .fetch_all(scene.pool())
    .await
    .unwrap();
    for table in parts.iter().map(String::as_str).chain(["outbox_messages"]) {
        let give = AssertSqlSafe(format!("ALTER TABLE {table} OWNER TO {name}"));
        sqlx::query(give).execute(scene.pool()).await.unwrap();
    }
    let said = outbox(&prune).await.done();
    assert_eq!(
        said,
        "deleted  99 delivered messages\npartitions  1 emptied, 1 dropped\n"
    );
    forget(&scene, &name).await;
}
