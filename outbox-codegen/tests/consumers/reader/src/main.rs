//! Reads records, a line for each: the header `ce_type`, and behind a tab the value.

mod events;

use std::io::stdin;

use events::Event;

fn main() {
    for line in stdin().lines() {
        let line = line.unwrap();
        let (event_type, value) = match line.split_once('\t') {
            Some((event_type, value)) => (event_type, Some(value.as_bytes())),
            None => (line.as_str(), None),
        };
        match Event::decode(event_type, value) {
            Ok(event) => println!("{event:?}"),
            Err(error) => println!("refused: {error}"),
        }
    }
}
