//! Finding events.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::conflict::{self, CatalogError};
use super::descriptor::EventDescriptor;
use super::document::CatalogDocument;
use super::registry::FormlessEvent;
use super::{registry, template, warning};

/// The version of the shape of a [`CatalogDocument`].
const SHAPE: u32 = 1;

/// The events of the program, in the order of type, version and Rust path.
///
/// ```standalone_crate
/// use outbox_runtime::OutboxEvent;
/// use outbox_runtime::catalog::Catalog;
///
/// #[derive(serde::Serialize, OutboxEvent)]
/// #[outbox(topic = "shop.{region}.orders", aggregate = "order", key = order_id)]
/// struct OrderPlacedV1 { order_id: u64, region: String }
///
/// # // Where a doc test is a function's body, the derive registers all the same.
/// let catalog = Catalog::global();
/// catalog.check()?;
/// let placed = catalog.get("OrderPlacedV1", 1).unwrap();
/// assert_eq!((placed.topic(), placed.key()), ("shop.{region}.orders", "order_id"));
/// assert_eq!(catalog.by_topic("shop.eu.orders").count(), 1);
/// # Ok::<(), outbox_runtime::catalog::CatalogError>(())
/// ```
#[derive(Debug)]
pub struct Catalog {
    events: Vec<&'static EventDescriptor>,
}

impl Catalog {
    /// The events of all linked crates.
    ///
    /// A crate that is a dependency and is not mentioned in any code is not linked: write `use that_crate as _;` for it.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Catalog> = OnceLock::new();
        GLOBAL.get_or_init(|| Self::of(registry::events()))
    }

    pub(super) fn of(events: impl IntoIterator<Item = &'static EventDescriptor>) -> Self {
        let mut events: Vec<_> = events.into_iter().collect();
        events.sort_by_key(|event| (event.event_type(), event.version(), event.rust_type()));
        Self { events }
    }

    /// All events.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static EventDescriptor> + Clone {
        self.events.iter().copied()
    }

    /// The event of this type and version.
    pub fn get(&self, event_type: &str, version: u32) -> Option<&'static EventDescriptor> {
        self.by_type(event_type).find(|event| event.version() == version)
    }

    /// The versions of this event type, in order. If the name contains the version, as in `OrderPlacedV2`,
    /// there is only one.
    pub fn by_type(&self, event_type: &str) -> impl Iterator<Item = &'static EventDescriptor> {
        self.iter().filter(move |event| event.event_type() == event_type)
    }

    /// The events with this topic, including those whose topic is a template that matches it.
    pub fn by_topic(&self, topic: &str) -> impl Iterator<Item = &'static EventDescriptor> {
        self.iter()
            .filter(move |event| event.topic() == topic || template::matches(event.topic(), topic))
    }

    /// Checks that the events do not contradict each other. Building a [`Relay`](crate::Relay) does the same; a
    /// service without a relay should call it at its start.
    ///
    /// # Errors
    /// Two events of one type and version have another topic, aggregate, content type, source or schema, so that a
    /// consumer could not distinguish them. Both locations are named.
    pub fn check(&self) -> Result<(), CatalogError> {
        CatalogError::unless_none(conflict::all(&self.events))
    }

    /// Likely errors: one topic with two aggregates, or with two keys that are spelled differently. One
    /// sentence for each pair, with both source locations. Topics that contain fields are not compared, because
    /// their names are known only at run time.
    ///
    /// A relay logs these as warnings when it is built; [`RelayBuilder::strict_catalog`](crate::relay::RelayBuilder::strict_catalog)
    /// and `outbox catalog --strict` make errors of them.
    pub fn warnings(&self) -> Vec<String> {
        warning::of_program(&self.events)
    }

    /// Like [`check`](Self::check), but the [`warnings`](Self::warnings) are errors, too.
    ///
    /// # Errors
    /// What either of them finds.
    pub fn check_strictly(&self) -> Result<(), CatalogError> {
        let mut wrong = conflict::all(&self.events);
        wrong.extend(self.warnings());
        CatalogError::unless_none(wrong)
    }

    /// The catalog as data, for generators of files.
    ///
    /// # Errors
    /// As [`check`](Self::check); and a generic event has no `#[outbox(instances(…))]`, so that it would be missing.
    pub fn document(&self, package: &str) -> Result<CatalogDocument, CatalogError> {
        self.written(package, registry::formless())
    }

    /// The events that these crates declare.
    pub(crate) fn of_crates(&self, crates: &[&str]) -> Self {
        Self::of(
            self.iter()
                .filter(|event| crates.contains(&crate_of(event.rust_type()))),
        )
    }

    /// As [`document`](Self::document), without complaints about the generic events of other crates than these.
    pub(crate) fn document_of(
        &self,
        package: &str,
        crates: &[&str],
    ) -> Result<CatalogDocument, CatalogError> {
        let of_crates = |event: &&FormlessEvent| crates.contains(&crate_of(event.rust_type));
        self.written(package, registry::formless().filter(of_crates))
    }

    /// How many events each crate has that is none of these.
    pub(crate) fn others(&self, crates: &[&str]) -> BTreeMap<&'static str, usize> {
        let mut others = BTreeMap::new();
        for event in self.iter() {
            let name = crate_of(event.rust_type());
            if !crates.contains(&name) {
                *others.entry(name).or_default() += 1;
            }
        }
        others
    }

    fn written(
        &self,
        package: &str,
        formless: impl Iterator<Item = &'static FormlessEvent>,
    ) -> Result<CatalogDocument, CatalogError> {
        let mut wrong = conflict::all(&self.events);
        wrong.extend(formless.map(conflict::formless));
        CatalogError::unless_none(wrong)?;
        Ok(CatalogDocument {
            schema_version: SHAPE,
            package: package.to_owned(),
            events: self.iter().map(EventDescriptor::describe).collect(),
        })
    }
}

/// The crate in a type's path.
fn crate_of(rust_type: &str) -> &str {
    rust_type.split_once("::").map_or(rust_type, |(name, _)| name)
}
