//! `outbox generate roles`: each kind of work is done under its role, and refused what is not its work.

use std::process::Command;

use outbox_tests::TestDatabase;
use outbox_tests::kafka::Topic;
use outbox_tests::servers::brokers;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres};
use uuid::Uuid;

use crate::Place;

struct Scene {
    place: Place,
    database: TestDatabase<Postgres>,
    /// Roles belong to the whole server.
    prefix: String,
}

impl Scene {
    async fn new() -> Self {
        let scene = Self {
            place: Place::new(),
            database: TestDatabase::postgres().await,
            prefix: format!("r{}_", Uuid::new_v4().simple()),
        };
        let sql = scene
            .place
            .run(&format!("generate roles --role-prefix {}", scene.prefix))
            .done();
        // Twice: what is there already stays.
        for _ in 0..2 {
            sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                .execute(&scene.database.pool)
                .await
                .unwrap();
        }
        scene
    }

    /// The database as this role.
    fn url(&self, role: &str) -> String {
        let mut url = url::Url::parse(&self.database.url()).unwrap();
        let option = format!("-c role={}{role}", self.prefix);
        url.query_pairs_mut().append_pair("options", &option);
        url.to_string().replace('+', "%20")
    }

    fn command(&self, role: &str, arguments: &str) -> Command {
        let mut command = self.place.command(arguments);
        command.args(["-D", &self.url(role)]);
        command
    }

    #[track_caller]
    fn does(&self, role: &str, arguments: &str) -> String {
        let output = self.command(role, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{role}: {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, role: &str, arguments: &str) {
        let output = self.command(role, arguments).output().unwrap();
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{role} may {arguments}");
        assert!(
            says.contains("permission denied") || says.contains("GRANT"),
            "{role}: {arguments}: {says}"
        );
    }

    async fn execute(&self, role: &str, statement: &str) -> Result<(), String> {
        let mut connection = PgConnection::connect(&self.url(role)).await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await;
        done.map(drop).map_err(|error| {
            error
                .as_database_error()
                .unwrap()
                .code()
                .unwrap_or_default()
                .into_owned()
        })
    }

    async fn refuses(&self, role: &str, statement: &str) {
        let refused = Err("42501".to_owned());
        assert_eq!(
            self.execute(role, statement).await,
            refused,
            "{role}: {statement}"
        );
    }

    async fn every_role_is_checked_and_limited(&self) {
        for role in ["writer", "relay", "operator", "reader", "pruner"] {
            self.does(role, &format!("migration check --role {role}"));
            self.refuses(role, "DROP TABLE outbox_cursor").await;
            self.refuses(role, "TRUNCATE outbox_messages").await;
            self.refuses(role, "UPDATE outbox_messages SET topic = 'x'").await;
            self.refuses(
                role,
                "INSERT INTO outbox_messages (xid, aggregate_type, aggregate_id, event_type, topic)
                 VALUES ('3', 'a', 'k', 'T', 't')",
            )
            .await;
        }
    }

    /// Leaves ten messages in the log.
    async fn only_the_writer_writes(&self, topic: &str) {
        let write = format!(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', n::text, 'T', '{topic}', '1' FROM generate_series(1, 10) n"
        );
        self.execute("writer", &write).await.unwrap();
        for other in ["relay", "operator", "reader", "pruner"] {
            self.refuses(other, &write).await;
        }
        for statement in [
            "SELECT payload FROM outbox_messages",
            "DELETE FROM outbox_messages",
            "UPDATE outbox_cursor SET high = 0",
        ] {
            self.refuses("writer", statement).await;
        }
    }

    async fn only_the_relay_delivers(&self) {
        let relay = format!("relay --until-empty --brokers {}", brokers());
        assert_eq!(self.does("relay", &relay), "delivered 10 messages\n");
        for other in ["writer", "operator", "reader", "pruner"] {
            self.fails(other, &relay);
        }
        self.refuses("relay", "DELETE FROM outbox_messages").await;
    }

    /// A reader may read them.
    async fn only_the_operator_decides_on_dead_letters(&self) {
        sqlx::raw_sql(DEAD).execute(&self.database.pool).await.unwrap();
        for reading in ["status", "dead-letters list", "inspect --key k"] {
            self.does("operator", reading);
            self.does("reader", reading);
            self.fails("writer", reading);
        }
        for changing in ["dead-letters replay --all", "dead-letters discard --all"] {
            for other in ["reader", "writer"] {
                self.fails(other, changing);
            }
        }
        let replayed = "UPDATE outbox_dead_letters SET replay_requested_at = NULL";
        self.does("operator", "dead-letters replay --all");
        sqlx::raw_sql(replayed)
            .execute(&self.database.pool)
            .await
            .unwrap();
        assert_eq!(
            self.does("operator", "dead-letters discard --all"),
            "3 messages were discarded\n"
        );
    }

    #[track_caller]
    fn only_the_operator_pauses_and_throttles(&self) {
        for (deciding, undone) in [
            (
                "pause --key k --topic t --reason test",
                "resume --key k --topic t --reason test",
            ),
            (
                "throttle --topic t --messages 5 --reason test",
                "throttle --topic t --off --reason test",
            ),
        ] {
            for other in ["writer", "reader", "relay", "pruner"] {
                self.fails(other, deciding);
            }
            self.does("operator", deciding);
            self.does("operator", undone);
        }
    }

    /// A reader and a writer may read them.
    async fn only_the_operator_sets_modes(&self) {
        let direct = "mode set direct --topic t --reason test";
        for other in ["writer", "reader", "relay", "pruner"] {
            self.fails(other, direct);
        }
        assert_eq!(
            self.does("operator", direct),
            "the mode of the topic t is direct now\n"
        );
        assert!(
            self.does("reader", "mode list")
                .starts_with("direct for the topic t since ")
        );
        let reads_modes = "SELECT pg_sequence_last_value('outbox_modes_version_seq'), mode FROM outbox_modes";
        self.execute("writer", reads_modes).await.unwrap();
        self.refuses("writer", "UPDATE outbox_modes SET mode = 'outbox'")
            .await;
    }

    async fn only_the_pruner_prunes(&self) {
        for other in ["writer", "operator", "reader"] {
            self.fails(other, "prune --keep until-acknowledged");
        }
        self.does("pruner", "prune --keep until-acknowledged");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
        assert_eq!(left, 0);
        self.refuses("pruner", "INSERT INTO outbox_dead_letters DEFAULT VALUES")
            .await;
    }

    async fn drop_roles(&self) {
        for role in ["writer", "relay", "operator", "reader", "pruner"] {
            let drop = format!("DROP OWNED BY {0}{role}; DROP ROLE {0}{role}", self.prefix);
            sqlx::raw_sql(AssertSqlSafe(drop))
                .execute(&self.database.pool)
                .await
                .unwrap();
        }
    }
}

const DEAD: &str = "INSERT INTO outbox_dead_letters (id, seq, aggregate_type, aggregate_id, event_type, topic, payload,
    content_type, occurred_at, state, reason, error)
    SELECT gen_random_uuid(), n, 'order', 'k', 'T', 't', '1', 'application/json', now(), 'dead', 'too_large', 'e'
    FROM generate_series(1001, 1003) n";

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_work_and_nothing_else() {
    let scene = Scene::new().await;
    let topic = Topic::create("cli-roles", 1).await;
    scene.every_role_is_checked_and_limited().await;
    scene.only_the_writer_writes(topic.name()).await;
    scene.only_the_relay_delivers().await;
    scene.only_the_operator_decides_on_dead_letters().await;
    for statement in ["DELETE FROM outbox_messages", "UPDATE outbox_lease SET epoch = 9"] {
        scene.refuses("operator", statement).await;
        scene.refuses("reader", statement).await;
    }
    // An operator may, in order to rewind.
    scene.refuses("reader", "UPDATE outbox_cursor SET high = 0").await;
    scene.only_the_operator_pauses_and_throttles();
    scene.only_the_operator_sets_modes().await;
    scene.only_the_pruner_prunes().await;
    scene.drop_roles().await;
}

#[test]
fn names_that_would_need_quotes_are_refused() {
    let place = Place::new();
    for prefix in ["Shop_", "pg_x", "1x", "a'b"] {
        place
            .run(&format!("generate roles --role-prefix {prefix}"))
            .fails(2, &["lower-case"]);
    }
}
