//! The keywords in an event's schema that say where serde reads something else than it writes.
//!
//! Validators ignore them; whoever compares two versions of an event does not.

/// The other names under which a field is read: an array of texts.
pub const ALIASES: &str = "x-serde-alias";
/// The fields that readers need and writers may leave out: an array of names.
pub const NEEDED: &str = "x-serde-required";
/// The fields that writers always write and readers do without: an array of names.
pub const ALWAYS: &str = "x-serde-always";
/// The schema of what is read, where the other keywords do not describe it.
pub const READ: &str = "x-serde-read";
/// The name of the function that writes a value, so that its type does not show what is written.
pub const WRITTEN_WITH: &str = "x-serde-serialize-with";
/// The name of the function that reads a value, so that its type does not show what is read.
pub const READ_WITH: &str = "x-serde-deserialize-with";
/// The field is left out where it would be null: `true`, or `"named"` if only what a definition says of it is known.
pub const NEVER_NULL: &str = "x-serde-never-null";
/// A field that is written and not read: `true`.
pub const NOT_READ: &str = "readOnly";
/// The tag that serde writes into a struct: its name and its text.
pub(super) const TAG: &str = "x-serde-tag";
