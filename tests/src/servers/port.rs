//! Ports for servers that are stopped and started again on the same one.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

/// A port on the loopback address that nobody listens on now.
///
/// It lies below the range that the kernel gives to outgoing connections: while a server is down, a client that
/// goes on trying to reach it would otherwise be given that very port now and then, and keep it.
pub(crate) fn free_port() -> u16 {
    let mut random = rand::rng();
    std::iter::repeat_with(|| random.random_range(10_240..32_000))
        .take(1_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a thousand ports is free")
}
