//! Code in places where names mean something else.

#![deny(warnings)]
#![forbid(unsafe_code)]

/// Everything that generated code could be tempted to name is another thing here.
#[allow(
    dead_code,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "they are only in the way"
)]
mod shadowed {
    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) struct Box;
    pub(super) struct Cow;
    pub(super) struct str;
    pub(super) struct u32;
    pub(super) trait Send {}
    pub(super) trait Sync {}
    pub(super) trait From {}
    pub(super) trait Into {}
    pub(super) trait Clone {}
    pub(super) trait Future {}
    pub(super) trait Serialize {}
    pub(super) fn Ok() {}
    pub(super) fn Err() {}
    pub(super) fn Some() {}
    pub(super) fn drop() {}
    pub(super) const None: () = ();

    type Outcome<T> = ::std::result::Result<T, ::outbox_runtime::Error>;

    #[derive(::serde::Serialize, ::outbox_runtime::OutboxEvent)]
    #[outbox(topic = "t.{id}", aggregate = "a", key = id, correlation_id = cause, headers("x" = cause, "y" = "z"))]
    pub(super) struct Shadowed {
        pub(super) id: u8,
        pub(super) cause: ::std::option::Option<::std::string::String>,
    }

    #[derive(::serde::Serialize, ::outbox_runtime::OutboxEvent)]
    pub(super) enum ShadowedEnum {
        #[outbox(topic = "t", aggregate = "a", key = id, source = "/s")]
        Some { id: u8 },
        #[outbox(transparent)]
        None(Shadowed),
    }

    #[::outbox_runtime::transactional]
    pub(super) async fn emit(
        tx: &mut ::outbox_runtime::OutboxTx<'_, ::sqlx::Sqlite>,
        body: u8,
        outcome: u8,
    ) -> Outcome<u8> {
        tx.emit(Shadowed {
            id: body,
            cause: ::std::option::Option::None,
        })?;
        tx.emit(ShadowedEnum::Some { id: outcome })?;
        ::std::result::Result::Ok(body)
    }

    #[::outbox_runtime::transactional(retry = 1, isolation = "serializable", outbox = source)]
    pub(super) async fn emit_with_options(
        tx: &mut ::outbox_runtime::OutboxTx<'_, ::sqlx::Sqlite>,
        source: &::outbox_runtime::Outbox<::sqlx::Sqlite>,
        attempts: u8,
    ) -> Outcome<u8> {
        emit(tx, attempts, attempts).await
    }
}

/// Nothing is there that was not asked for.
mod without_prelude {
    #![no_implicit_prelude]

    #[derive(::serde::Serialize, ::outbox_runtime::OutboxEvent)]
    #[outbox(topic = "t.{id}", aggregate = "a", key = id, occurred_at = at, headers("x" = id))]
    pub(super) struct Bare<T> {
        pub(super) id: u8,
        pub(super) at: ::std::option::Option<::std::time::SystemTime>,
        pub(super) more: T,
    }

    #[::outbox_runtime::transactional]
    pub(super) async fn emit(
        tx: &mut ::outbox_runtime::OutboxTx<'_, ::sqlx::Sqlite>,
    ) -> ::std::result::Result<(), ::outbox_runtime::Error> {
        tx.emit(Bare {
            id: 1,
            at: ::std::option::Option::None,
            more: (),
        })?;
        ::std::result::Result::Ok(())
    }

    #[::outbox_runtime::transactional(retry = 2)]
    pub(super) async fn emit_retrying(
        tx: &mut ::outbox_runtime::OutboxTx<'_, ::sqlx::Sqlite>,
        id: u8,
    ) -> ::std::result::Result<(), ::outbox_runtime::Error> {
        tx.emit(Bare {
            id,
            at: ::std::option::Option::None,
            more: (),
        })?;
        ::std::result::Result::Ok(())
    }
}

/// The runtime under another name.
mod renamed {
    mod deep {
        pub(in super::super) use outbox_runtime as my_outbox;
    }
    use deep::my_outbox;
    mod outbox_runtime {}

    #[derive(serde::Serialize, my_outbox::OutboxEvent)]
    #[outbox(crate = "self::deep::my_outbox", topic = "t", aggregate = "a", key = id)]
    pub(super) struct Renamed {
        pub(super) id: u8,
    }

    #[my_outbox::transactional(crate = "deep::my_outbox")]
    pub(super) async fn emit(tx: &mut my_outbox::OutboxTx<'_, sqlx::Sqlite>) -> Result<(), my_outbox::Error> {
        tx.emit(Renamed { id: 9 })?;
        Ok(())
    }
}

/// Inside a macro of the user's own.
macro_rules! event {
    ($name:ident, $topic:literal, $key:ident) => {
        #[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
        #[outbox(topic = $topic, aggregate = "made", key = $key)]
        struct $name {
            $key: u8,
        }
    };
}
event!(MadeV1, "made", made_id);

#[tokio::test]
async fn it_works_there_too() {
    let (_database, outbox) = crate::outbox::open().await;
    assert_eq!(shadowed::emit(&outbox, 1, 2).await.unwrap(), 1);
    assert_eq!(shadowed::emit_with_options(&outbox, 3).await.unwrap(), 3);
    without_prelude::emit(&outbox).await.unwrap();
    without_prelude::emit_retrying(&outbox, 4).await.unwrap();
    renamed::emit(&outbox).await.unwrap();
    outbox
        .transaction(async |tx| tx.emit(MadeV1 { made_id: 5 }))
        .await
        .unwrap();
    let nested = shadowed::ShadowedEnum::None(shadowed::Shadowed { id: 6, cause: None });
    outbox.transaction(async |tx| tx.emit(nested)).await.unwrap();
    assert_eq!(
        crate::outbox::words(&outbox).await,
        ["1", "2", "3", "3", "1", "4", "9", "5", "6"]
    );
}
