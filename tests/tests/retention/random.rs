//! Transactions, cursors and pruners in any order: what goes was delivered.

use std::collections::HashSet;

use outbox_runtime::store::{Piece, Store};
use outbox_tests::servers::PostgresVersion;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::scene::{Scene, all, insert};

const STEPS: usize = 60;

/// The log as it is while transactions are open.
struct World {
    scene: Scene,
    open: Vec<Transaction<'static, Postgres>>,
    prepared: Vec<String>,
    seen: HashSet<Uuid>,
}

impl World {
    async fn ids(&self) -> HashSet<Uuid> {
        let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM outbox_messages")
            .fetch_all(self.scene.pool())
            .await
            .unwrap();
        ids.into_iter().collect()
    }

    async fn step(&mut self, random: &mut StdRng) {
        match random.random_range(0..12) {
            0..=2 if self.open.len() < 6 => self.open.push(self.scene.pool().begin().await.unwrap()),
            3 | 4 if !self.open.is_empty() => {
                let nth = random.random_range(0..self.open.len());
                insert(&mut *self.open[nth], random.random_range(1..60)).await;
            }
            5 | 6 if !self.open.is_empty() => {
                let nth = random.random_range(0..self.open.len());
                let mut transaction = self.open.swap_remove(nth);
                match random.random_range(0..4) {
                    0 => transaction.rollback().await.unwrap(),
                    1 => {
                        let name = format!("'{}'", Uuid::new_v4());
                        let prepare = sqlx::AssertSqlSafe(format!("PREPARE TRANSACTION {name}"));
                        sqlx::query(prepare).execute(&mut *transaction).await.unwrap();
                        self.prepared.push(name);
                    }
                    _ => transaction.commit().await.unwrap(),
                }
            }
            7 if !self.prepared.is_empty() => {
                let name = self.prepared.swap_remove(0);
                let end = if random.random_bool(0.8) {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                };
                self.scene.run(&format!("{end} PREPARED {name}")).await;
            }
            8 => insert(self.scene.pool(), random.random_range(1..60)).await,
            9 => {
                self.scene.deliver().await;
            }
            _ => self.prune(random).await,
        }
        let there = self.ids().await;
        self.seen.extend(&there);
    }

    /// One piece somewhere, or everything.
    async fn prune(&self, random: &mut StdRng) {
        let before = self.ids().await;
        if random.random_bool(0.5) {
            self.scene.pruner(all().batch(7)).run_once().await.unwrap();
        } else if self.scene.number("count(*) FROM pg_partitioned_table").await == 0 {
            let mut pruning = self.scene.store().open_pruning().await.unwrap();
            let piece = Piece {
                after: random.random_range(0..200),
                rows: random.random_range(1..80),
                older_than: None,
                weighed: false,
                dry_run: false,
            };
            pruning.prune(piece).await.unwrap();
        }
        let after = self.ids().await;
        let delivered: HashSet<Uuid> = self.scene.broker.ids().into_iter().collect();
        for gone in before.difference(&after) {
            assert!(delivered.contains(gone), "{gone} was not delivered");
        }
    }

    async fn end(mut self) {
        for open in self.open.drain(..) {
            open.commit().await.unwrap();
        }
        for name in std::mem::take(&mut self.prepared) {
            self.scene.run(&format!("COMMIT PREPARED {name}")).await;
        }
        self.seen.extend(self.ids().await);
        self.scene.deliver().await;
        let delivered = self.scene.broker.ids();
        let once: HashSet<Uuid> = delivered.iter().copied().collect();
        assert_eq!((delivered.len(), &once), (once.len(), &self.seen), "each once");
    }
}

async fn nothing_goes_that_was_not_delivered(scene: Scene, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World {
        scene,
        open: Vec::new(),
        prepared: Vec::new(),
        seen: HashSet::new(),
    };
    for _ in 0..STEPS {
        world.step(&mut random).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_from_a_table_that_was_not_delivered() {
    for seed in [1, 2, rand::random()] {
        eprintln!("seed {seed}");
        nothing_goes_that_was_not_delivered(Scene::new().await, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_from_partitions_that_was_not_delivered() {
    for seed in [1, 2, rand::random()] {
        eprintln!("seed {seed}");
        let scene = Scene::partitioned_at(PostgresVersion::Distribution).await;
        nothing_goes_that_was_not_delivered(scene, seed).await;
    }
}
