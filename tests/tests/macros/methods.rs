//! `#[transactional]` on methods, and in traits.

use std::sync::Arc;

use outbox_runtime::{Error, Outbox, OutboxTx, TransactionSource, transactional};
use sqlx::Sqlite;

use crate::outbox::{WordAddedV1, open, words};

type LiteTx<'c> = OutboxTx<'c, Sqlite>;

struct Words {
    outbox: Outbox<Sqlite>,
    prefix: String,
}

impl Words {
    #[transactional]
    async fn add(&self, tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
        tx.emit(WordAddedV1::new(format!("{}{word}", self.prefix)))?;
        Ok(())
    }

    #[transactional(outbox = self.outbox)]
    pub(crate) async fn begin(&self, tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
        self.add(&mut *tx, word).await?;
        Self::check(tx, "checked").await
    }

    #[transactional(outbox = self.outbox, retry = 1)]
    async fn begin_shared(self: Arc<Self>, tx: &mut LiteTx<'_>, word: String) -> Result<(), Error> {
        self.add(tx, &word).await
    }

    #[transactional(outbox = &self.outbox)]
    async fn change(&mut self, tx: &mut LiteTx<'_>) -> Result<(), Error> {
        self.prefix.push('!');
        self.add(tx, "changed").await
    }

    #[transactional]
    async fn check(tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
        tx.emit(WordAddedV1::new(word)).map(drop)
    }

    #[transactional]
    async fn consume(self, tx: &mut LiteTx<'_>) -> Result<String, Error> {
        self.add(tx, "consumed").await?;
        Ok(self.prefix)
    }
}

trait Store {
    async fn save(&self, word: &str) -> Result<(), Error>;
    async fn join<'t>(&self, tx: impl TransactionSource<'t, Sqlite>, word: &str) -> Result<(), Error>;
}

impl Store for Words {
    #[transactional(outbox = self.outbox)]
    async fn save(&self, tx: &mut LiteTx<'_>, word: &str) -> Result<(), Error> {
        self.join(tx, word).await
    }

    #[transactional]
    async fn join(&self, tx: &mut OutboxTx<'_, Sqlite>, word: &str) -> Result<(), Error> {
        self.add(tx, word).await
    }
}

#[async_trait::async_trait]
trait DynStore {
    async fn save(&self, word: &str) -> Result<(), Error>;
}

#[async_trait::async_trait]
impl DynStore for Words {
    async fn save(&self, word: &str) -> Result<(), Error> {
        self.begin(word).await
    }
}

#[tokio::test]
async fn methods_begin_and_join() {
    let (_database, outbox) = open().await;
    let mut own = Words {
        outbox: outbox.clone(),
        prefix: "-".into(),
    };
    own.add(&outbox, "a").await.unwrap();
    own.begin("b").await.unwrap();
    own.change().await.unwrap();
    Store::save(&own, "c").await.unwrap();
    let shared: Arc<dyn DynStore + Send + Sync> = Arc::new(Words {
        outbox: outbox.clone(),
        prefix: "+".into(),
    });
    shared.save("d").await.unwrap();
    let shared = Arc::new(Words {
        outbox: outbox.clone(),
        prefix: "*".into(),
    });
    tokio::spawn(shared.begin_shared("e".to_owned()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(own.consume(&outbox).await.unwrap(), "-!");
    let expected = [
        "-a",
        "-b",
        "checked",
        "-!changed",
        "-!c",
        "+d",
        "checked",
        "*e",
        "-!consumed",
    ];
    assert_eq!(words(&outbox).await, expected);
}
