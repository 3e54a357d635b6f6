//! JSON of finite numbers. serde_json writes NaN and the infinities as `null` and returns no error, so that only
//! the consumer would notice; here they are an error of the writer.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Where an event that is small has room for its text.
const USUAL_SIZE: usize = 256;

/// The JSON text of `value`, as serde_json writes it.
pub(super) fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut text = Vec::with_capacity(USUAL_SIZE);
    value.serialize(Finite {
        inner: &mut serde_json::Serializer::new(&mut text),
        field: "",
    })?;
    String::from_utf8(text).map_err(serde_json::Error::custom)
}

/// A serializer, or the writer of a map or a sequence, that takes finite numbers only.
struct Finite<S> {
    inner: S,
    /// The innermost field that has a name; empty outside of all.
    field: &'static str,
}

/// A value that is written by a [`Finite`] serializer, whichever serializer it is given.
struct Checked<'a, T: ?Sized> {
    value: &'a T,
    field: &'static str,
}

impl<T: Serialize + ?Sized> Serialize for Checked<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Finite {
            inner: serializer,
            field: self.field,
        })
    }
}

impl<S> Finite<S> {
    fn checked<'a, T: ?Sized>(&self, value: &'a T) -> Checked<'a, T> {
        Checked {
            value,
            field: self.field,
        }
    }

    fn with<C, E>(self, begin: impl FnOnce(S) -> Result<C, E>) -> Result<Finite<C>, E> {
        Ok(Finite {
            inner: begin(self.inner)?,
            field: self.field,
        })
    }
}

impl<S: Serializer> Finite<S> {
    fn refuse(&self, number: f64) -> S::Error {
        let place = match self.field {
            "" => String::new(),
            field => format!(" in the field `{field}`"),
        };
        S::Error::custom(format_args!(
            "the number {number}{place} cannot be written in JSON, which has finite numbers only: use an `Option`, \
             or check the number before the event is emitted"
        ))
    }
}

macro_rules! pass_on {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<S: Serializer> Serializer for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Finite<S::SerializeSeq>;
    type SerializeTuple = Finite<S::SerializeTuple>;
    type SerializeTupleStruct = Finite<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Finite<S::SerializeTupleVariant>;
    type SerializeMap = Finite<S::SerializeMap>;
    type SerializeStruct = Finite<S::SerializeStruct>;
    type SerializeStructVariant = Finite<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_u128(u128), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => self.inner.serialize_f32(value),
            false => Err(self.refuse(value.into())),
        }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => self.inner.serialize_f64(value),
            false => Err(self.refuse(value)),
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.checked(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.checked(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.checked(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.with(|inner| inner.serialize_seq(length))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.with(|inner| inner.serialize_tuple(length))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.with(|inner| inner.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.with(|inner| inner.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.with(|inner| inner.serialize_map(length))
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.with(|inner| inner.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.with(|inner| inner.serialize_struct_variant(name, index, variant, length))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident),* $(,)?) => {$(
        impl<C: $trait> $trait for Finite<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.checked(value);
                self.inner.$method(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl<C: $trait> $trait for Finite<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                self.inner.serialize_field(field, &Checked { value, field })
            }

            fn skip_field(&mut self, field: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(field)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Finite<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = self.checked(key);
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = self.checked(value);
        self.inner.serialize_value(&value)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        let (key, value) = (self.checked(key), self.checked(value));
        self.inner.serialize_entry(&key, &value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Reading<T> {
        place: &'static str,
        value: T,
    }

    fn reading<T>(value: T) -> Reading<T> {
        Reading { place: "roof", value }
    }

    fn refused(value: impl Serialize) -> String {
        to_string(&value).unwrap_err().to_string()
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_wherever_they_are() {
        #[derive(Serialize)]
        struct Wrapped(f64);
        #[derive(Serialize)]
        struct Pair(u8, f32);
        #[derive(Serialize)]
        enum Shape {
            New(f64),
            Tuple(u8, f64),
            Named { ratio: f64 },
        }
        #[derive(Serialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            Named { ratio: f64 },
        }
        #[derive(Serialize)]
        struct Flat {
            #[serde(flatten)]
            inner: Reading<f64>,
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let errors = [
                refused(reading(bad)),
                refused(reading(bad as f32)),
                refused(reading(Some(bad))),
                refused(reading(vec![1.0, bad])),
                refused(reading((1, bad))),
                refused(reading(Wrapped(bad))),
                refused(reading(Pair(1, bad as f32))),
                refused(reading(Shape::New(bad))),
                refused(reading(Shape::Tuple(1, bad))),
                refused(reading(BTreeMap::from([("a", vec![bad])]))),
            ];
            for error in errors {
                assert!(
                    error.contains("the field `value`") && error.contains(&bad.to_string()),
                    "{error}"
                );
            }
            assert!(refused(reading(Shape::Named { ratio: bad })).contains("`ratio`"));
            assert!(refused(Tagged::Named { ratio: bad }).contains(&bad.to_string()));
            assert!(refused(Flat { inner: reading(bad) }).contains(&bad.to_string()));
            assert!(refused(bad).starts_with(&format!("the number {bad} cannot")));
        }
    }

    #[test]
    fn everything_else_is_what_serde_json_writes() {
        #[derive(Serialize)]
        struct All<'a> {
            numbers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64),
            texts: (char, &'a str, std::net::Ipv4Addr),
            #[serde(with = "bytes")]
            bytes: &'a [u8],
            nothing: (Option<u8>, ()),
            keys: BTreeMap<i64, bool>,
            raw: &'a serde_json::value::RawValue,
            value: serde_json::Value,
            #[serde(skip_serializing_if = "Option::is_none")]
            skipped: Option<u8>,
        }
        mod bytes {
            pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
                to.serialize_bytes(bytes)
            }
        }
        let raw = serde_json::value::RawValue::from_string(r#"{ "as":  1.50 }"#.to_owned()).unwrap();
        let all = All {
            numbers: (
                -1,
                -2,
                -3,
                -4,
                i128::MIN,
                1,
                2,
                3,
                u64::MAX,
                u128::MAX,
                1.5e-30,
                f64::MIN_POSITIVE,
            ),
            texts: ('"', "ü\u{2028}\\\n", std::net::Ipv4Addr::LOCALHOST),
            bytes: &[0, 255],
            nothing: (None, ()),
            keys: BTreeMap::from([(-7, true)]),
            raw: &raw,
            value: serde_json::json!({ "a": [1, null, 2.5e300] }),
            skipped: None,
        };
        assert_eq!(to_string(&all).unwrap(), serde_json::to_string(&all).unwrap());
        // What serde_json refuses is refused.
        assert!(to_string(&BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
