//! What stands in for JSON Schemas without the feature `schema`: a sentence of the compiler's.

use serde_json::Value;

/// No type has it.
#[diagnostic::on_unimplemented(
    message = "`schema` needs the feature `schema` of outbox-runtime",
    label = "there are no JSON Schemas without it",
    note = "run `cargo add outbox-runtime --features schema`, or add the feature in Cargo.toml"
)]
pub trait PayloadSchema {}

/// Never compiled into a call.
pub fn of<T: PayloadSchema>() -> Value {
    Value::Null
}

/// Without the feature there is nothing to make.
#[doc(hidden)]
#[macro_export]
macro_rules! __variant_schema {
    ($($given:tt)*) => {
        ::core::compile_error!(
            "`schema` needs the feature `schema` of outbox-runtime: run `cargo add outbox-runtime --features schema`, \
             or add the feature in Cargo.toml"
        )
    };
}

/// As little as for a variant.
#[doc(hidden)]
#[macro_export]
macro_rules! __noted_schema {
    ($($given:tt)*) => {
        $crate::__variant_schema!()
    };
}
