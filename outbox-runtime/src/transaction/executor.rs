//! `&mut *tx` where sqlx wants an executor.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::{Describe, Either, Error, Execute, Executor, SqlStr};

use super::OutboxTx;

macro_rules! executor {
    ($($database:ty),*) => {$(
        /// The same as with `&mut **tx`.
        impl<'c> Executor<'c> for &'c mut OutboxTx<'_, $database> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<
                'e,
                Result<
                    Either<
                        <$database as sqlx::Database>::QueryResult,
                        <$database as sqlx::Database>::Row,
                    >,
                    Error,
                >,
            >
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                (&mut **self).fetch_many(query)
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<<$database as sqlx::Database>::Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                (&mut **self).fetch_optional(query)
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [<$database as sqlx::Database>::TypeInfo],
            ) -> BoxFuture<'e, Result<<$database as sqlx::Database>::Statement, Error>>
            where
                'c: 'e,
            {
                (&mut **self).prepare_with(sql, parameters)
            }

            // Only with sqlx's feature `offline`, which its macros need too, does the trait have this one: so
            // this crate asks for that feature.
            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<$database>, Error>>
            where
                'c: 'e,
            {
                (&mut **self).describe(sql)
            }
        }
    )*};
}

#[cfg(feature = "postgres")]
executor!(sqlx::Postgres);
#[cfg(feature = "sqlite")]
executor!(sqlx::Sqlite);
