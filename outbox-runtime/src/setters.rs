//! Setters of configurations.

/// A setter for each field, with the field's name. With `#[non_exhaustive]`, a new setting then breaks no caller.
macro_rules! setters {
    ($config:ident { $($field:ident: $type:ty),* $(,)? }) => {
        impl $config {
            /// The default configuration.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}
pub(crate) use setters;
