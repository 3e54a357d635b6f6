//! What a table holds, and how late its events arrive, over time.

use std::time::Instant;

use super::{Reading, Subject, Written};

/// Sizes of a table with its partitions.
const SIZES: &str = "
    SELECT sum(pg_table_size(relid))::double precision, sum(pg_indexes_size(relid))::double precision,
           sum(pg_stat_get_dead_tuples(relid))::double precision
    FROM pg_partition_tree($1::regclass)";
/// Of a table without partitions, which is no partition tree.
const SIZES_OF_ONE: &str = "
    SELECT pg_table_size($1::regclass)::double precision, pg_indexes_size($1::regclass)::double precision,
           pg_stat_get_dead_tuples($1::regclass)::double precision";

/// At one time.
struct Sample {
    /// Seconds since the first one.
    second: f64,
    table_bytes: f64,
    index_bytes: f64,
    dead_tuples: f64,
    /// Milliseconds from writing to the consumer; NaN if nothing arrived.
    p99: f64,
}

/// One of the lines.
pub(super) struct Measure {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    of: fn(&Sample) -> f64,
}

pub(super) const MEASURES: [&Measure; 4] = [
    &Measure {
        title: "Table",
        unit: "bytes",
        of: |sample| sample.table_bytes,
    },
    &Measure {
        title: "Indexes",
        unit: "bytes",
        of: |sample| sample.index_bytes,
    },
    &Measure {
        title: "Dead tuples",
        unit: "short",
        of: |sample| sample.dead_tuples,
    },
    &Measure {
        title: "From the transaction to a consumer, p99, in ms",
        unit: "short",
        of: |sample| sample.p99,
    },
];

#[derive(Default)]
pub(super) struct Samples {
    started: Option<Instant>,
    all: Vec<Sample>,
    pub(super) written: Written,
    pub(super) arrived: u64,
}

impl Samples {
    pub(super) async fn take(&mut self, subject: &Subject, reading: &Reading) {
        let sizes = |statement| {
            sqlx::query_as::<_, (Option<f64>, Option<f64>, Option<f64>)>(statement)
                .bind(subject.table)
                .fetch_one(&subject.database.pool)
        };
        let mut found = sizes(SIZES).await.expect("the database answers");
        if found.0.is_none() {
            found = sizes(SIZES_OF_ONE).await.expect("the database answers");
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        self.all.push(Sample {
            second: started.elapsed().as_secs_f64(),
            table_bytes: found.0.unwrap_or_default(),
            index_bytes: found.1.unwrap_or_default(),
            dead_tuples: found.2.unwrap_or_default(),
            p99: reading.p99().unwrap_or(f64::NAN),
        });
    }

    pub(super) fn line(&self, measure: &Measure) -> Vec<(f64, f64)> {
        self.all
            .iter()
            .map(|sample| (sample.second, (measure.of)(sample)))
            .collect()
    }

    /// Six rows, each with the medians of a sixth of the time.
    pub(super) fn print(&self, name: &str) {
        println!(
            "{name}: {} written, {} arrived, slowest transaction {:.1?}",
            self.written.events, self.arrived, self.written.slowest
        );
        for part in self.all.chunks(self.all.len().div_ceil(6).max(1)) {
            let median = |measure: &Measure| {
                let mut values: Vec<_> = part.iter().map(measure.of).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
            };
            let [table, indexes, dead, p99] = MEASURES.map(median);
            println!(
                "  until {:>4.0} min: table {:>5.0} MB, indexes {:>5.0} MB, dead tuples {:>8.0}, p99 {:>6.1} ms",
                part.last().map_or(0.0, |sample| sample.second / 60.0),
                table / 1e6,
                indexes / 1e6,
                dead,
                p99
            );
        }
    }
}
