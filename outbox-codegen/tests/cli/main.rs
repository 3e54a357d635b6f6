//! The `outbox` binary as a person or a script meets it: exit codes, stdout, stderr, files. Nothing here needs a
//! server: databases are SQLite's, the broker is librdkafka's mock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is a test's report"
)]

mod alerts;
mod all;
mod asyncapi;
mod check;
mod completions;
mod config_show;
mod configuration;
mod configuration_file;
mod dashboard;
mod dead_letters;
mod doctor;
mod generate;
mod init;
#[path = "../outbox/mod.rs"]
mod outbox;
mod relay;
mod schema_check;
mod schemas;
mod shop;
mod sqlite;
mod versions;

use outbox::{Place, Ran, Running, status};
