//! A run: essays in, ranking, verdict and page out.

use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::Utc;
use outbox_runtime::testkit::TestBroker;
use spellcheck::spelling::Dictionaries;
use uuid::Uuid;

use crate::again::Again;
use crate::arguments::Demo;
use crate::chaos::{self, Faults};
use crate::database::Databases;
use crate::files::{self, File};
use crate::page::Page;
use crate::report::{self, Ranked};
use crate::services::{PATIENCE, Plan, Platform};
use crate::stages;
use crate::story::Story;
use crate::verdict::Verdict;
use crate::view::View;

/// How long batches are handed in while there are faults, so that these meet each stage.
const TROUBLED: Duration = Duration::from_secs(28);

/// How long consumers have to do what they should not, with records that came again.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Whether all is as it should be.
pub(crate) async fn run(demo: &Demo) -> Result<bool> {
    #[cfg(feature = "postgres")]
    if let Some(count) = demo.measure {
        return measured(demo, count).await;
    }
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let files = files::read(&demo.essays)?;
    let dictionaries = dictionaries(&demo.dictionaries, folder.path())?;
    let deserved = files::deserved(&files, &Dictionaries::read(&dictionaries)?);
    let run = Uuid::now_v7().simple().to_string();
    let databases = Databases::new(run, folder.path().to_owned(), demo.database_url.as_deref())?;
    let plan = Plan {
        folder: folder.path().to_owned(),
        dictionaries,
        broker: broker(demo.brokers.as_deref()).await?,
        mock: demo.brokers.is_none(),
        chaos: demo.chaos,
    };
    let outcome = match Platform::start(&plan, &databases).await {
        Ok(platform) => {
            let outcome = on(&platform, demo, &files, &deserved).await;
            platform.stop().await?;
            outcome
        }
        Err(error) => Err(error),
    };
    databases.drop().await?;
    outcome
}

async fn on(platform: &Platform, demo: &Demo, files: &[File], deserved: &[(String, f64)]) -> Result<bool> {
    let (view, faults) = (View::new(), Faults::default());
    let count = demo.batches.unwrap_or(if demo.chaos { 5 } else { 1 });
    let batches: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    view.say(&format!(
        "{} files are handed in by each of {count} classes; two of the files are no essays",
        files.len()
    ));
    let seed = demo.seed.unwrap_or_else(|| rand::random_range(0..10_000));
    if demo.chaos {
        view.say(&format!("the order of faults is --seed {seed}"));
    }
    let work = async {
        let troubled = async {
            match demo.chaos {
                true => chaos::run(platform, &faults, &view, seed).await,
                false => Ok(()),
            }
        };
        let handed_in = async { tokio::try_join!(hand_in(platform, files, &batches, demo), troubled) };
        match demo.again {
            true => repeated(platform, handed_in).await?,
            false => drop(handed_in.await?),
        }
        all_ended(platform).await
    };
    let story = tokio::select! {
        story = work => story?,
        ended = platform.supervise() => return Err(ended.err().unwrap_or_else(|| anyhow::anyhow!("a service ended"))),
        () = view.watch(platform, &batches, files.len()) => unreachable!("it watches until it is dropped"),
    };
    view.clear();

    let mut rankings = Vec::new();
    for batch in &batches {
        rankings.push((*batch, report::ranking(platform, *batch).await?));
    }
    let verdict = Verdict::of(&story, &rankings, deserved, files.len(), demo.chaos || demo.again)?;
    if let Some((_, ranking)) = rankings.first() {
        println!("\n{}", report::table(ranking));
    }
    if demo.stages {
        println!("{}", stages::table(&story, &batches));
    }
    println!("{verdict}");
    let page = write_page(demo, &story, &rankings, &faults, &verdict)?;
    println!("What happened: {}", page.display());
    Ok(verdict.holds())
}

/// Hands everything in, and repeats each record until there is nothing new.
async fn repeated(platform: &Platform, handed_in: impl Future<Output = Result<((), ())>>) -> Result<()> {
    let mut again = Again::new(platform)?;
    let done = AtomicBool::new(false);
    let handed_in = async {
        let handed_in = handed_in.await;
        done.store(true, Ordering::Relaxed);
        handed_in
    };
    tokio::try_join!(handed_in, again.run(platform, &done))?;
    // What is repeated last may cause nothing new.
    while again.repeat_new(platform).await? > 0 {
        all_ended(platform).await?;
    }
    tokio::time::sleep(AFTERMATH).await;
    Ok(())
}

/// Latencies, in databases that are dropped afterwards.
#[cfg(feature = "postgres")]
async fn measured(demo: &Demo, count: usize) -> Result<bool> {
    let settings = service_kit::Settings {
        database_url: String::new(),
        brokers: broker(demo.brokers.as_deref()).await?.brokers().to_owned(),
        mock_brokers: false,
        listen: ([127, 0, 0, 1], 0).into(),
        content_dir: PathBuf::new(),
        failover: Duration::from_secs(6),
        mode: outbox_runtime::modes::Mode::Outbox,
        shutdown_timeout: Duration::from_secs(10),
    };
    let databases = || {
        let run = Uuid::now_v7().simple().to_string();
        Databases::new(run, PathBuf::new(), demo.database_url.as_deref())
    };
    let (direct, outbox) = (databases()?, databases()?);
    let outcome = crate::measure::run(&settings, [&direct, &outbox], count).await;
    direct.drop().await?;
    outbox.drop().await?;
    outcome.map(|()| true)
}

/// All classes hand in their essays, and each batch ends.
async fn hand_in(platform: &Platform, files: &[File], batches: &[Uuid], demo: &Demo) -> Result<()> {
    let times = if demo.again { 2 } else { 1 };
    let each = batches.iter().zip(0_u32..).map(|(batch, number)| async move {
        if demo.chaos {
            tokio::time::sleep(TROUBLED * number / u32::try_from(batches.len())?).await;
        }
        // One trace for all that follows.
        let trace = format!("00-{}-{:016x}-01", batch.simple(), number + 1);
        for _ in 0..times {
            platform.register(*batch, files.len(), &trace).await?;
        }
        // Two requests: a fault may come between them.
        let (first, second) = files.split_at(files.len() / 2);
        files::upload(platform, *batch, first, &trace, times).await?;
        files::upload(platform, *batch, second, &trace, times).await?;
        let ended = tokio::time::timeout(PATIENCE, platform.ended(*batch)).await;
        ended
            .with_context(|| format!("batch {batch} did not end in {} s", PATIENCE.as_secs()))?
            .map(drop)
    });
    futures_util::future::try_join_all(each).await.map(drop)
}

/// Everything that was committed has been delivered and processed.
async fn all_ended(platform: &Platform) -> Result<Story> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        tokio::time::timeout_at(end, platform.relayed())
            .await
            .context("events are left in the log of a service")?;
        let story = Story::read(platform).await?;
        if story.has_ended() || tokio::time::Instant::now() > end {
            return Ok(story);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn write_page(
    demo: &Demo,
    story: &Story,
    rankings: &[(Uuid, Vec<Ranked>)],
    faults: &Faults,
    verdict: &Verdict,
) -> Result<PathBuf> {
    let written = Utc::now();
    let path = match &demo.page {
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("platform-{}.html", written.format("%Y%m%d-%H%M%S"))),
    };
    let page = Page {
        story,
        rankings,
        faults: &faults.all(),
        verdict: &verdict.to_string(),
        holds: verdict.holds(),
        written,
    };
    std::fs::write(&path, page.html()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The brokers that are named, or one in this process.
async fn broker(brokers: Option<&str>) -> Result<TestBroker> {
    let Some(brokers) = brokers else {
        return Ok(TestBroker::mock_kafka());
    };
    let first = brokers.split(',').next().unwrap_or_default();
    let addresses = first
        .to_socket_addrs()
        .with_context(|| format!("--brokers: `{first}` is no address such as localhost:9092"))?;
    let connect =
        |address| tokio::time::timeout(Duration::from_secs(3), tokio::net::TcpStream::connect(address));
    for address in addresses {
        if let Ok(Ok(_)) = connect(address).await {
            return Ok(TestBroker::kafka_at(brokers).await);
        }
    }
    bail!(
        "no Kafka broker answers at {first}: start one (https://kafka.apache.org/quickstart), or leave --brokers out for \
         librdkafka's mock cluster"
    )
}

/// The folder with the dictionaries, or with stand-ins that know no word and suggest none.
fn dictionaries(installed: &Path, folder: &Path) -> Result<PathBuf> {
    let Err(error) = Dictionaries::read(installed) else {
        return Ok(installed.to_owned());
    };
    println!("{error}. Nothing is corrected now.");
    for name in ["en_US", "sv_SE"] {
        std::fs::write(folder.join(format!("{name}.aff")), "SET UTF-8\n")?;
        std::fs::write(folder.join(format!("{name}.dic")), "0\n")?;
    }
    Ok(folder.to_owned())
}
