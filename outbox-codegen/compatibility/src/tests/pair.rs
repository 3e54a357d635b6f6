//! Two versions of a type: what is said of them has to be what serde does with real values.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::judge;

/// Compatible, in the directions backward and forward.
pub(super) type Verdict = [bool; 2];
pub(super) const FULL: Verdict = [true, true];
pub(super) const BACKWARD: Verdict = [true, false];
pub(super) const FORWARD: Verdict = [false, true];
pub(super) const BROKEN: Verdict = [false, false];

pub(super) fn schema<T: JsonSchema>() -> Value {
    outbox_runtime::__private::json_schema::of::<T>()
}

fn written<T: Serialize>(values: &[T]) -> Vec<String> {
    values
        .iter()
        .map(|value| serde_json::to_string(value).unwrap())
        .collect()
}

fn reads_all<T: DeserializeOwned>(values: &[String]) -> bool {
    values
        .iter()
        .all(|value| serde_json::from_str::<T>(value).is_ok())
}

/// The values have to be such that a direction which is broken fails for one of them.
#[track_caller]
pub(super) fn check<Old, New>(expected: Verdict, old: &[Old], new: &[New])
where
    Old: JsonSchema + Serialize + DeserializeOwned,
    New: JsonSchema + Serialize + DeserializeOwned,
{
    let (old, new) = (written(old), written(new));
    assert!(
        reads_all::<Old>(&old) && reads_all::<New>(&new),
        "a type reads what it writes"
    );
    let findings = judge(&schema::<Old>(), &schema::<New>());
    let said = [findings[0].is_empty(), findings[1].is_empty()];
    assert_eq!(said, expected, "{findings:#?}");
    assert_eq!(
        [reads_all::<New>(&old), reads_all::<Old>(&new)],
        expected,
        "serde is of another opinion"
    );
}

macro_rules! pairs {
    ($(
        $name:ident: $verdict:expr;
        old { $($old:item)* } [$($before:expr),* $(,)?]
        new { $($new:item)* } [$($now:expr),* $(,)?]
    )*) => { $(
        #[test]
        fn $name() {
            #[allow(unused_imports)]
            mod old {
                use super::*;
                $( #[derive(Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Clone)] $old )*
                pub(super) fn values() -> Vec<Event> { vec![$($before),*] }
            }
            #[allow(unused_imports)]
            mod new {
                use super::*;
                $( #[derive(Serialize, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Clone)] $new )*
                pub(super) fn values() -> Vec<Event> { vec![$($now),*] }
            }
            check($verdict, &old::values(), &new::values());
        }
    )* };
}

/// `f32` and `f64` do not compare, so they are pairs of their own.
macro_rules! fields {
    ($($name:ident: $verdict:expr; $old:ty = [$($before:expr),*]; $new:ty = [$($now:expr),*];)*) => { $(
        #[test]
        fn $name() {
            #[derive(Serialize, Deserialize, JsonSchema)]
            struct Old { field: $old }
            #[derive(Serialize, Deserialize, JsonSchema)]
            struct New { field: $new }
            check($verdict, &[$(Old { field: $before }),*], &[$(New { field: $now }),*]);
        }
    )* };
}

pub(super) use {fields, pairs};
