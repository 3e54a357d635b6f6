//! Events of a service whose consumers are written in several languages.

use std::collections::BTreeMap;

use outbox_runtime::OutboxEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An order was placed.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[serde(rename_all = "camelCase")]
#[outbox(topic = "orders", aggregate = "order", key = order_id, schema)]
pub struct OrderPlacedV1 {
    pub order_id: u64,
    pub total_cents: i64,
}

/// An order was placed, with what is in it.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = order_id, schema)]
pub struct OrderPlacedV2 {
    pub order_id: u64,
    pub lines: Vec<Line>,
    pub note: Option<String>,
    pub payment: Payment,
    /// What is left of each article, by its number.
    pub stock: BTreeMap<u32, i64>,
    pub reason: Reason,
}

/// What is ordered, with what it is made of.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    pub sku: String,
    pub parts: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payment {
    Card { last4: String },
    Invoice,
}

/// Why it was placed: a customer's own words are longer than a line of code, and so is this sentence.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub enum Reason {
    Asked,
    Gift { from: String },
    Renewal { of_order: u64 },
}

/// What becomes of a parcel.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[serde(tag = "type")]
#[outbox(topic = "parcels", aggregate = "parcel", key = parcel_id)]
pub enum Parcel {
    #[outbox(schema)]
    ParcelSent { parcel_id: u64, to: Address },
    #[outbox(schema)]
    ParcelLost { parcel_id: u64 },
}

/// Something has another value now.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "changes", aggregate = "customer", key = id, schema, instances("address.changed" = Changed<Address>))]
pub struct Changed<T> {
    pub id: u64,
    pub after: T,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    pub street: String,
}
