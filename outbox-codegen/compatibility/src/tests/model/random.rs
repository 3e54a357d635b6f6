//! Random types, and what a developer does to them.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use super::{Body, Field, Program, Struct, Tagging, Type, Variant, Width};

const FIELDS: [&str; 4] = ["a", "b", "c", "d"];
const VARIANTS: [&str; 4] = ["A", "B", "C", "D"];

/// Up to three types beside the event.
pub(in super::super) fn program(random: &mut SmallRng) -> Program {
    let count = random.random_range(1..4);
    let mut types = vec![Type::Struct(structure(random, 3, count))];
    types.extend((1..count).map(|_| Type::Struct(structure(random, 2, count))));
    Program { types, prefix: "Old" }
}

/// The program after some changes, anywhere in it.
pub(in super::super) fn varied(program: &Program, random: &mut SmallRng) -> Program {
    let mut new = Program {
        prefix: "New",
        ..program.clone()
    };
    let count = new.types.len();
    for _ in 0..random.random_range(0..3) {
        let index = random.random_range(0..count);
        if let Some(of) = new.types.get_mut(index) {
            vary(of, random, count);
        }
    }
    new
}

fn any(random: &mut SmallRng, deep: u8, count: usize) -> Type {
    let plain = deep == 0;
    match random.random_range(0..if plain { 8 } else { 16 }) {
        0 => Type::Boolean,
        1 | 2 => Type::Integer(width(random)),
        3 => Type::Float,
        4 => Type::Text,
        5 => Type::Character,
        6 => Type::Uuid,
        // Behind an option or a list, so that values come to an end.
        7 => Type::Option(Box::new(Type::Named(random.random_range(0..count)))),
        8 => Type::List(Box::new(Type::Named(random.random_range(0..count)))),
        9 => Type::Option(Box::new(any(random, deep - 1, count))),
        10 => Type::List(Box::new(any(random, deep - 1, count))),
        11 => Type::Tuple(
            (0..random.random_range(1..3))
                .map(|_| any(random, deep - 1, count))
                .collect(),
        ),
        12 => Type::Map(Box::new(any(random, deep - 1, count))),
        13 => Type::Struct(structure(random, deep - 1, count)),
        _ => enumeration(random, deep - 1, count),
    }
}

fn width(random: &mut SmallRng) -> Width {
    Width::ALL.choose(random).copied().unwrap_or(Width::U8)
}

fn structure(random: &mut SmallRng, deep: u8, count: usize) -> Struct {
    let fields = FIELDS.into_iter().filter(|_| random.random()).collect::<Vec<_>>();
    Struct {
        fields: fields
            .into_iter()
            .map(|name| field(random, name, deep, count))
            .collect(),
        strict: random.random_range(0..5) == 0,
    }
}

fn field(random: &mut SmallRng, name: &'static str, deep: u8, count: usize) -> Field {
    Field {
        name,
        of: any(random, deep, count),
        default: random.random_range(0..4) == 0,
    }
}

fn enumeration(random: &mut SmallRng, deep: u8, count: usize) -> Type {
    let taggings = [
        Tagging::External,
        Tagging::Internal,
        Tagging::Adjacent,
        Tagging::Untagged,
    ];
    let tagging = taggings.choose(random).copied().unwrap_or(Tagging::External);
    let names = VARIANTS
        .into_iter()
        .filter(|_| random.random())
        .collect::<Vec<_>>();
    Type::Enum(
        tagging,
        names
            .into_iter()
            .map(|name| variant(random, tagging, name, deep, count))
            .collect(),
    )
}

fn variant(random: &mut SmallRng, tagging: Tagging, name: &'static str, deep: u8, count: usize) -> Variant {
    let body = match random.random_range(0..3) {
        0 => Body::Unit,
        1 if tagging != Tagging::Internal => Body::Newtype(any(random, deep, count)),
        _ => Body::Struct(structure(random, deep, count)),
    };
    Variant { name, body }
}

/// One change, here or further in.
fn vary(of: &mut Type, random: &mut SmallRng, count: usize) {
    let inward = random.random_range(0..4) > 0;
    match of {
        Type::Option(inner) if random.random_range(0..4) == 0 && !matches!(**inner, Type::Named(_)) => {
            *of = (**inner).clone();
        }
        Type::Option(inner) | Type::List(inner) | Type::Map(inner) if inward => vary(inner, random, count),
        Type::Tuple(elements) if inward => {
            if let Some(element) = elements.first_mut() {
                vary(element, random, count);
            }
        }
        Type::Struct(structure) => vary_struct(structure, random, count),
        Type::Enum(tagging, variants) if inward => vary_enum(*tagging, variants, random, count),
        Type::Integer(before) if inward => *before = width(random),
        Type::Character | Type::Uuid if inward => *of = Type::Text,
        Type::Integer(_) if random.random() => *of = Type::Float,
        Type::Named(_) => *of = Type::Option(Box::new(of.clone())),
        other if random.random() => *other = Type::Option(Box::new(other.clone())),
        other => *other = any(random, 1, count),
    }
}

fn vary_struct(of: &mut Struct, random: &mut SmallRng, count: usize) {
    let index = if of.fields.is_empty() {
        0
    } else {
        random.random_range(0..of.fields.len())
    };
    let free: Vec<&str> = FIELDS
        .into_iter()
        .filter(|name| of.fields.iter().all(|field| field.name != *name))
        .collect();
    match (random.random_range(0..8), of.fields.get_mut(index), free.first()) {
        (0, Some(_), _) => drop(of.fields.remove(index)),
        (1 | 2, _, Some(name)) => of.fields.push(field(random, name, 1, count)),
        (3, Some(field), Some(name)) => field.name = name,
        (4, Some(field), _) => field.default = !field.default,
        (5, ..) => of.strict = !of.strict,
        (_, Some(field), _) => vary(&mut field.of, random, count),
        _ => {}
    }
}

fn vary_enum(tagging: Tagging, variants: &mut Vec<Variant>, random: &mut SmallRng, count: usize) {
    let index = if variants.is_empty() {
        0
    } else {
        random.random_range(0..variants.len())
    };
    let free: Vec<&str> = VARIANTS
        .into_iter()
        .filter(|name| variants.iter().all(|variant| variant.name != *name))
        .collect();
    match (random.random_range(0..5), variants.get_mut(index), free.first()) {
        (0, Some(_), _) => drop(variants.remove(index)),
        (1, _, Some(name)) => variants.push(variant(random, tagging, name, 1, count)),
        (2, Some(variant), Some(name)) => variant.name = name,
        (3, Some(_), _) => variants.rotate_left(1),
        (
            _,
            Some(Variant {
                body: Body::Struct(of),
                ..
            }),
            _,
        ) => vary_struct(of, random, count),
        (
            _,
            Some(Variant {
                body: Body::Newtype(of),
                ..
            }),
            _,
        ) => vary(of, random, count),
        _ => {}
    }
}
