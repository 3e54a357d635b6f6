//! Events of a shop, as a service declares them.

use std::collections::BTreeMap;
use std::fs;

use outbox_runtime::OutboxEvent;
use outbox_runtime::catalog::{Catalog, CatalogDocument};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::Place;

/// An order was placed, and paid or promised to be.
///
/// Sent once for each order; `lines` is never empty.
#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(
    topic = "shop.order.placed.v1",
    aggregate = "order",
    key = order_id,
    source = "/shop",
    correlation_id = request_id,
    headers("x-tenant" = tenant, "x-kind" = "order"),
    schema
)]
pub(crate) struct OrderPlacedV1 {
    /// The order's identity.
    pub(crate) order_id: Uuid,
    pub(crate) lines: Vec<Line>,
    pub(crate) payment: Payment,
    /// What the customer wrote, if anything.
    pub(crate) note: Option<String>,
    pub(crate) tenant: String,
    pub(crate) request_id: String,
}

/// So many of one article.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) price: Money,
    /// Length, width and height in millimetres.
    pub(crate) dimensions: Option<(u32, u32, u32)>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Money {
    pub(crate) cents: i64,
    pub(crate) currency: Currency,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Currency {
    Sek,
    Eur,
}

/// How an order is paid.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "method", rename_all = "snake_case")]
pub(crate) enum Payment {
    /// By card, at once.
    Card {
        last_digits: String,
    },
    Invoice(Invoice),
    /// At the door.
    Cash,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Invoice {
    #[serde(rename = "dueInDays")]
    pub(crate) due_in_days: u8,
}

/// An order was placed: the next version, beside the first.
#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop.order.placed.v2", aggregate = "order", key = order.id, schema)]
pub(crate) struct OrderPlacedV2 {
    pub(crate) order: Order,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    #[serde(flatten)]
    pub(crate) total: Money,
    pub(crate) discounts: BTreeMap<String, i64>,
}

/// A category's place among the others: it may hold categories itself.
#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop.{region}.categories", aggregate = "category", key = name, schema)]
pub(crate) struct CategoryMoved {
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) below: Vec<CategoryMoved>,
}

/// Sent to the topic of `OrderPlacedV1`, so that both keep their order.
#[derive(Serialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "shop.order.placed.v1", aggregate = "order", key = order_id, schema)]
#[schemars(example = OrderCancelled { order_id: 17, reason: Reason::Other("<b>too late</b>".to_owned()) })]
pub(crate) struct OrderCancelled {
    pub(crate) order_id: u64,
    pub(crate) reason: Reason,
}

#[derive(Serialize, JsonSchema)]
pub(crate) enum Reason {
    OutOfStock,
    Other(String),
}

/// The catalog of the events above, as a crate that declares them would print it.
pub(crate) fn catalog() -> CatalogDocument {
    let mut catalog = Catalog::global().document("shop").unwrap();
    catalog
        .events
        .retain(|event| event.rust_type.contains("::shop::"));
    assert_eq!(catalog.events.len(), 4);
    catalog
}

/// Writes the catalog to where `--catalog catalog.json` finds it.
pub(crate) fn write(place: &Place, catalog: &CatalogDocument) {
    let text = serde_json::to_string(catalog).unwrap();
    fs::write(place.path().join("catalog.json"), text).unwrap();
}
