//! How many messages one statement inserts.

use crate::message::OutboxMessage;

impl OutboxMessage {
    /// The bytes that a statement has to carry for it, roughly.
    pub(crate) fn weight(&self) -> usize {
        256 + self.payload.len()
            + self
                .headers
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }
}

/// Splits messages so that no statement carries more than so many rows and bytes; a message larger than that
/// goes alone.
pub(crate) fn chunks(
    messages: &[OutboxMessage],
    rows: usize,
    bytes: usize,
) -> impl Iterator<Item = &[OutboxMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fit = rest.iter().take(rows).take_while(|message| {
            sum += message.weight();
            sum <= bytes
        });
        let length = fit.count().max(1).min(rest.len());
        let (chunk, after) = rest.split_at(length);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Payload;

    fn message(bytes: usize) -> OutboxMessage {
        OutboxMessage::builder("t", "k")
            .payload(Payload::Binary(vec![0; bytes]))
            .build()
    }

    #[test]
    fn chunks_are_bounded_in_rows_and_bytes() {
        let messages: Vec<_> = [10, 10, 10, 5_000, 10].into_iter().map(message).collect();
        let lengths = |rows, bytes| chunks(&messages, rows, bytes).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(2, usize::MAX), [2, 2, 1]);
        assert_eq!(lengths(10, 1_000), [3, 1, 1]);
        assert_eq!(lengths(10, 0), [1, 1, 1, 1, 1]);
        assert_eq!(chunks(&[], 2, 2).count(), 0);
    }
}
