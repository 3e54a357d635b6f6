//! Topics that Kafka refuses.

use outbox_runtime::OutboxEvent;
use serde::Serialize;

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders/placed", aggregate = "order", key = id)]
struct Slash {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "orders placed", aggregate = "order", key = id)]
struct Space {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "beställningar", aggregate = "order", key = id)]
struct Letter {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(topic = "..", aggregate = "order", key = id)]
struct Dots {
    id: u64,
}

#[derive(Serialize, OutboxEvent)]
#[outbox(
    topic = "a0123456789.b0123456789.c0123456789.d0123456789.e0123456789.f0123456789.g0123456789.h0123456789.i0123456789.j0123456789.k0123456789.l0123456789.m0123456789.n0123456789.o0123456789.p0123456789.q0123456789.r0123456789.s0123456789.t0123456789.u0123456789",
    aggregate = "order",
    key = id
)]
struct Long {
    id: u64,
}

fn main() {}
