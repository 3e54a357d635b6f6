//! A database that the outbox does not know.

fn outbox(_: outbox_runtime::Outbox<sqlx::Any>) {}

fn main() {}
