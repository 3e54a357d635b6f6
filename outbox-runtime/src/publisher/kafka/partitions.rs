//! Which partition a key belongs to: the one that Java's producer chooses.

/// The partition of a key in a topic with `count` partitions, as `murmur2_random` of librdkafka and the default
/// partitioner of Java's client choose it.
///
/// <https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/clients/producer/internals/BuiltInPartitioner.java>
pub(crate) fn partition_of(key: &[u8], count: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % count.max(1)
}

/// MurmurHash2 with the seed of Kafka's clients.
pub(super) fn murmur2(key: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    // Kafka keeps the length in 32 bits as well, and no key is longer.
    #[allow(clippy::cast_possible_truncation)]
    let mut hash = SEED ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MULTIPLIER);
        let mixed = (word ^ (word >> 24)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use proptest::prelude::*;
    use rdkafka::bindings::rd_kafka_msg_partitioner_murmur2;

    use super::*;

    /// What librdkafka chooses; it looks at nothing but the key and the count.
    #[allow(unsafe_code)]
    fn by_librdkafka(key: &[u8], count: u32) -> u32 {
        let count = i32::try_from(count).expect("a count of partitions");
        // SAFETY: the key is valid for its length, and this partitioner does not use its other arguments.
        let partition = unsafe {
            rd_kafka_msg_partitioner_murmur2(
                ptr::null(),
                key.as_ptr().cast(),
                key.len(),
                count,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        u32::try_from(partition).expect("a partition")
    }

    /// From the tests of Java's client.
    #[test]
    fn hashes_are_those_of_javas_client() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    proptest! {
        #[test]
        fn partitions_are_those_of_librdkafka(key in prop::collection::vec(any::<u8>(), 0..70), count in 1_u32..2_000) {
            prop_assert_eq!(partition_of(&key, count), by_librdkafka(&key, count));
        }
    }
}
