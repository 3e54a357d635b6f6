//! What it takes to look at a log with many undelivered messages.

use std::time::{Duration, Instant};

use outbox_runtime::store::{SampledStore as _, Sampling as _, Store as _};
use outbox_runtime::{LogSampler, Outbox, PostgresStore};
use outbox_tests::program::{Ran, command};
use outbox_tests::{TestDatabase, wait_until};
use sqlx::PgPool;

use crate::{cpu, exporter, log};

const TIMES: usize = 15;

/// The interval of a sampler, and of many a probe.
const INTERVAL: Duration = Duration::from_secs(15);

pub(crate) async fn run(rows: u64) {
    let handle = exporter::install();
    let database = TestDatabase::postgres().await;
    let (pool, url) = (database.pool.clone(), database.url());
    let name = log::database(&pool).await;
    let filling = Instant::now();
    fill(&pool, rows).await;
    println!(
        "{rows} undelivered messages, written in {:.0} s; {TIMES} times each",
        filling.elapsed().as_secs_f64()
    );
    let (outbox, store) = (Outbox::new(pool.clone()), PostgresStore::new(&pool));
    time(&name, "Store::status", async || {
        store.status().await.expect("the state is read");
    })
    .await;
    time(&name, "Outbox::health", async || {
        let health = outbox.health().await;
        assert!(health.log.is_some(), "{health:?}");
    })
    .await;
    let mut sampling = store.open_sampling().await.expect("it can be sampled");
    time(&name, "a sample of the log", async || {
        sampling.sample().await.expect("the state is read");
    })
    .await;
    drop(sampling);
    let _sampler = LogSampler::new(store.clone()).spawn();
    wait_until("a sample", Duration::from_secs(60), async || {
        let text = handle.render();
        text.lines()
            .any(|line| line.starts_with("outbox_backlog_records") && !line.ends_with("NaN"))
            .then_some(())
    })
    .await;
    time(&name, "GET /metrics", async || {
        std::hint::black_box(handle.render());
    })
    .await;
    for line in ["status --json", "health --json", "top --once"] {
        let line_name = format!("outbox {line}");
        time(&name, &line_name, async || {
            let ran = Ran::of(&mut command(&format!("{line} --database-url {url}"))).await;
            // The backlog is a difference for `health`.
            assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        })
        .await;
    }
}

/// Small messages, so that ten million of them need little of the disk.
async fn fill(pool: &PgPool, rows: u64) {
    const AT_ONCE: u64 = 1_000_000;
    let mut left = rows;
    while left > 0 {
        let now = left.min(AT_ONCE);
        sqlx::query(
            "INSERT INTO outbox_messages (aggregate_type, aggregate_id, event_type, topic, payload)
             SELECT 'order', 'customer-' || i % 1000, 'OrderPlacedV1', 'orders-' || i % 50, '{}'
             FROM generate_series(1, $1::bigint) i",
        )
        .bind(i64::try_from(now).expect("a small number"))
        .execute(pool)
        .await
        .expect("the log can be filled");
        left -= now;
    }
}

/// How long it takes, and what it costs this process, its commands and the server.
async fn time(database: &str, name: &str, mut work: impl AsyncFnMut()) {
    let mut times = Vec::new();
    // The first one connects and prepares statements.
    work().await;
    let before = cpu::spent_with_server(database);
    for _ in 0..TIMES {
        let begun = Instant::now();
        work().await;
        times.push(begun.elapsed());
    }
    let spent = (cpu::spent_with_server(database) - before).as_secs_f64() / times.len() as f64;
    times.sort();
    println!(
        "{name}: median {:.1} ms, slowest {:.1} ms, {:.1} ms of CPU: {:.2} % of a core every {INTERVAL:?}",
        times[TIMES / 2].as_secs_f64() * 1e3,
        times[TIMES - 1].as_secs_f64() * 1e3,
        spent * 1e3,
        100.0 * spent / INTERVAL.as_secs_f64()
    );
}
