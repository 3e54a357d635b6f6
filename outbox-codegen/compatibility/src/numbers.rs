//! The numbers of Rust's types, from the formats and bounds that schemars writes.

use serde_json::{Map, Value};

use super::parse::{OF_NUMBERS, text_of};
use super::shape::{Integer, Number, Unknown};

/// The integers of a Rust type, narrowed by the bounds beside it; schemars leaves the wide types' bounds out.
pub(super) fn integer(keywords: &Map<String, Value>, mut unknown: Unknown) -> Option<Integer> {
    let format = text_of(keywords, "format")?;
    let (mut lower, mut upper): (i128, u128) = match format.as_deref() {
        Some("int8") => (i8::MIN.into(), 0x7f),
        Some("int16") => (i16::MIN.into(), 0x7fff),
        Some("int32") => (i32::MIN.into(), 0x7fff_ffff),
        Some("int64" | "int") => (i64::MIN.into(), 0x7fff_ffff_ffff_ffff),
        Some("int128") => (i128::MIN, i128::MAX.unsigned_abs()),
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        Some("uint128") => (0, u128::MAX),
        None => (i128::MIN, u128::MAX),
        Some(other) => {
            unknown.insert("format".to_owned(), other.to_owned());
            (i128::MIN, u128::MAX)
        }
    };
    for bound in OF_NUMBERS {
        let Some(value) = keywords.get(bound) else {
            continue;
        };
        match whole(value) {
            Some(value) if bound == "minimum" => lower = lower.max(value),
            Some(value) if value >= 0 => upper = upper.min(value.unsigned_abs()),
            _ => drop(unknown.insert(bound.to_owned(), value.to_string())),
        }
    }
    Some(Integer {
        lower,
        upper,
        format,
        unknown,
    })
}

/// Also `5.0`, as the attributes for validation write it.
fn whole(value: &Value) -> Option<i128> {
    let exact = value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from));
    #[allow(
        clippy::cast_possible_truncation,
        reason = "below 2^53 every whole number is exact"
    )]
    exact.or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i128)
    })
}

pub(super) fn number(keywords: &Map<String, Value>, mut unknown: Unknown) -> Option<Number> {
    let format = text_of(keywords, "format")?;
    for bound in OF_NUMBERS {
        if let Some(value) = keywords.get(bound) {
            unknown.insert(bound.to_owned(), value.to_string());
        }
    }
    match format.as_deref() {
        None | Some("double" | "float") => {}
        Some(other) => drop(unknown.insert("format".to_owned(), other.to_owned())),
    }
    Some(Number {
        single: format.as_deref() == Some("float"),
        unknown,
    })
}
