//! What several events say of an essay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An essay and where its text is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EssayText {
    /// The essay.
    pub essay_id: String,
    /// Where its text is stored.
    pub text_storage_id: String,
}
