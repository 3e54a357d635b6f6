//! A place in a value, as a person writes it: `$.lines[*].price`, `$.status(Cancelled)`.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn root() -> Self {
        Self("$".to_owned())
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if plain {
            Self(format!("{}.{name}", self.0))
        } else {
            Self(format!("{}[{name:?}]", self.0))
        }
    }

    /// The fields of a map.
    pub(super) fn values(&self) -> Self {
        Self(format!("{}.*", self.0))
    }

    pub(super) fn element(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    pub(super) fn elements(&self) -> Self {
        Self(format!("{}[*]", self.0))
    }

    pub(super) fn variant(&self, label: &str) -> Self {
        Self(format!("{}({label})", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
