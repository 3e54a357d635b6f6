//! `outbox top`: the log's numbers in a terminal, live.

mod looks;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::time::Duration;

use outbox_runtime::health::HealthDatabase;
use outbox_runtime::store::Store;
use outbox_runtime::{HealthConfig, Outbox, PostgresStore, SqliteStore, Tables};
use sqlx::Pool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::looks::{Look, Looks};
use self::screen::{Key, Screen};
use super::print;
use crate::Exit;
use crate::arguments::Top as Arguments;
use crate::connect::{Database, IfMissing, connect};
use crate::failure::Failure;
use crate::signals::Signals;

/// Shorter pauses are no use to eyes, and cost the database something.
const FASTEST: Duration = Duration::from_millis(100);

pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let address = arguments.database.address()?;
    let tables = arguments.tables.tables(address.dialect())?;
    if !(arguments.once || io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(Failure::usage("`outbox top` needs a terminal").advise("use --once to print one frame"));
    }
    match connect(&address, IfMissing::Fail, arguments.thresholds.timeout).await? {
        Database::Postgres(pool) => {
            let name = PostgresStore::new(&pool).default_source();
            top(pool, name, tables, &arguments).await
        }
        Database::Sqlite(pool) => {
            let name = SqliteStore::new(&pool).default_source();
            top(pool, name, tables, &arguments).await
        }
    }
}

async fn top<DB: HealthDatabase>(
    pool: Pool<DB>,
    name: String,
    tables: Tables,
    arguments: &Arguments,
) -> Result<Exit, Failure> {
    let log = match tables == Tables::default() {
        true => name,
        false => format!("{name} {}", tables.bare("messages")),
    };
    let outbox = Outbox::builder(pool).tables(tables).build();
    let (config, looks) = (arguments.thresholds.config(), Looks::of(log));
    match arguments.once {
        true => once(&outbox, &config, looks).await,
        false => live(outbox, config, looks, arguments.interval.max(FASTEST)).await,
    }
    .map(|()| Exit::Done)
}

async fn once<DB: HealthDatabase>(
    outbox: &Outbox<DB>,
    config: &HealthConfig,
    mut looks: Looks,
) -> Result<(), Failure> {
    let look = looks.at(outbox.health_with(config).await);
    print(view::text(&look))
}

async fn live<DB: HealthDatabase>(
    outbox: Outbox<DB>,
    config: HealthConfig,
    looks: Looks,
    interval: Duration,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let signals = Signals::listen()?;
    let (sender, mut next) = mpsc::channel(1);
    let looking = looks.go_on(outbox, config, interval, sender);
    let showing = show(&mut next, &stop);
    tokio::select! {
        shown = showing => shown,
        () = looking => Ok(()),
        never = signals.cancel(&stop) => match never {},
    }
}

async fn show(next: &mut mpsc::Receiver<Look>, stop: &CancellationToken) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed("cannot draw on the terminal").because(error);
    // Before there is something to be seen, the terminal stays as it is.
    let Some(mut look) = next.recv().await else {
        return Ok(());
    };
    let mut screen = Screen::open().map_err(failed)?;
    let mut keys = screen::keys();
    loop {
        screen.draw(&look).map_err(failed)?;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            key = keys.recv() => match key {
                Some(Key::Redraw) => {}
                Some(Key::Quit) | None => return Ok(()),
            },
            newer = next.recv() => match newer {
                Some(newer) => look = newer,
                None => return Ok(()),
            },
        }
    }
}
