//! A model of the store, the broker and relays, small enough that every interleaving is tried.
//!
//! It keeps what the guarantees rest on and leaves out the rest: snapshots with what they see and list,
//! windows between them, producers whose records lie in a queue, on their way, or in the log without an answer,
//! cursor writes that arrive late, a lease without clocks. A relay that is paused does not know what happens
//! meanwhile, and when it wakes it goes on with whatever it was doing: its packets and statements arrive.
//!
//! Each promise of `docs/delivery-guarantees.md` is a property. With all protections they hold in every state;
//! with any one of them taken out, a state is found in which the promise it is there for is broken.

mod bounds;
mod producers;
mod relay;
mod search;
mod store;
mod system;
