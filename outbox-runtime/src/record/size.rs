//! How large a record is for Kafka, byte by byte.

/// What a batch takes beside its records, and a record beside its key, value and headers (attributes, two
/// deltas of zero).
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 3;

/// The headers of one record, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeaderSizes {
    bytes: usize,
    count: usize,
}

impl HeaderSizes {
    /// Adds a header; a name and perhaps a value, in bytes.
    pub(crate) fn add(&mut self, name: usize, value: Option<usize>) {
        self.bytes += prefixed(name) + value.map_or(1, prefixed);
        self.count += 1;
    }

    /// The size of a batch that holds only the record with these headers, which is what a broker compares with
    /// `max.message.bytes`.
    pub(crate) fn alone(self, key: usize, value: Option<usize>) -> usize {
        let headers = varint(self.count) + self.bytes;
        let body = RECORD_OVERHEAD + prefixed(key) + value.map_or(1, prefixed) + headers;
        BATCH_OVERHEAD + prefixed(body)
    }
}

/// So many bytes behind their number.
fn prefixed(length: usize) -> usize {
    varint(length) + length
}

/// The bytes of a length as Kafka's zig-zag variable-length integer.
fn varint(length: usize) -> usize {
    let zigzag = (length as u64) << 1;
    (u64::BITS - zigzag.leading_zeros()).div_ceil(7).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_as_long_as_kafkas() {
        assert_eq!(
            [0, 63, 64, 8191, 8192, 1_048_575, 1_048_576].map(varint),
            [1, 1, 2, 2, 3, 3, 4]
        );
    }

    #[test]
    fn everything_counts() {
        let mut headers = HeaderSizes::default();
        assert_eq!(headers.alone(1, None), 61 + 1 + 3 + 2 + 1 + 1);
        headers.add(2, Some(100));
        headers.add(2, None);
        assert_eq!(
            headers.alone(1, Some(0)),
            61 + 2 + 3 + 2 + 1 + 1 + (3 + 102) + (3 + 1)
        );
    }
}
