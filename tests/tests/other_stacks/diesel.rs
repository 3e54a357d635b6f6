//! diesel.

use diesel::{Connection, ExpressionMethods, PgConnection, RunQueryDsl};
use outbox_runtime::writers::{Diesel, Writer};
use outbox_runtime::{Enqueued, RelayWaker, Tables};

use crate::cases::cases;
use crate::scene::{End, OrderPlacedV1, ShopError, Stack, What, events};

diesel::table! {
    orders (id) {
        id -> BigInt,
    }
}

struct Shop {
    connection: PgConnection,
    writer: Writer<Diesel>,
}

impl Stack for Shop {
    async fn open(url: &str, tables: Tables, waker: RelayWaker) -> Self {
        Self {
            connection: PgConnection::establish(url).unwrap(),
            writer: Writer::new().tables(tables).waker(waker),
        }
    }

    async fn place(&mut self, order: i64, what: What, end: End) -> Result<(), ShopError> {
        let writer = &self.writer;
        let ended = self.connection.transaction(|connection| {
            diesel::insert_into(orders::table)
                .values(orders::id.eq(order))
                .execute(connection)?;
            let enqueued = match what {
                What::Event => writer.enqueue(connection, OrderPlacedV1 { order_id: order }),
                What::Events(count) => writer.enqueue_all(connection, events(order, count)),
                What::Message(message) => writer.enqueue_message(connection, *message),
            };
            match end {
                End::Commit => Ok::<Result<Enqueued, _>, ShopError>(Ok(enqueued?)),
                End::CommitAnyway => Ok(enqueued),
                End::Rollback => Err(ShopError::Refused),
                End::Panic => panic!("in the middle of a transaction: {enqueued:?}"),
            }
        });
        match ended {
            Err(ShopError::Refused) if end == End::Rollback => Ok(()),
            Err(error) => Err(error),
            Ok(enqueued) => {
                enqueued?.wake();
                Ok(())
            }
        }
    }
}

cases! {
    Shop:
    rows_and_records_are_those_of_sqlx,
    an_event_carries_its_context,
    a_rollback_leaves_nothing,
    a_panic_leaves_nothing,
    many_events_keep_their_order,
    a_commit_wakes_the_relay,
    a_wrong_message_is_refused_before_anything_is_written,
    tables_may_have_other_names,
    an_error_says_what_to_do,
}
