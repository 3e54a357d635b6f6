//! The command line.

use clap::Parser;

const EXIT_CODES: &str = "\
Exit codes:
  0  every committed event arrived, in order, and nothing else did
  1  an event is missing, invented or out of order; or the run failed
  2  wrong usage";

/// Writes orders with their events, takes the broker away and brings it back, and checks what arrived.
///
/// A shop writes orders in concurrent transactions, each with its events; some are rolled back. A relay in the
/// same process delivers, a consumer reads all the time, and a checker compares what was committed with what
/// arrived. Without options everything is in this process: a SQLite file in a temporary folder, and
/// librdkafka's mock cluster as the broker.
#[derive(Debug, Clone, Parser)]
#[command(name = "quickstart", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// A real database: `postgres://user:password@host:port/name` or `sqlite:path`.
    ///
    /// Tables whose names begin with `quickstart_` are made in it and stay there; others are not touched. Run
    /// one quickstart at a time on a database.
    // Neither this nor the brokers are taken from the environment: without options, nothing real is touched.
    #[arg(short = 'D', long, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Real Kafka brokers: `host:port`, separated by commas.
    ///
    /// The topic `shop.orders.v1` is created if it is missing, and stays there. These brokers are not taken
    /// away: that is only simulated with the mock cluster. Stop and start them yourself meanwhile, if you like.
    #[arg(short = 'B', long, value_name = "HOST:PORT,…")]
    pub(crate) brokers: Option<String>,

    /// How many orders are placed; about one in eight is rolled back.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) orders: u32,

    /// How many transactions are open at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) writers: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_shape_is_sound() {
        Arguments::command().debug_assert();
    }
}
