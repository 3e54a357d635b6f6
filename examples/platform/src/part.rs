//! A process of the platform: one service, or a relay that stands by for one.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use batch_orchestrator::BatchOrchestrator;
use cj_assessment::CjAssessment;
use essay_lifecycle::EssayLifecycle;
use result_aggregator::ResultAggregator;
use service_kit::{Settings, Texts, connect, relay};
use spellcheck::Spellcheck;
use spellcheck::spelling::Dictionaries;

use crate::arguments::{Name, Of, Part};

/// Runs it to its end.
pub(crate) async fn run(part: Part) -> ExitCode {
    end_with_the_platform();
    match part {
        Part::Service(of) => service(of).await,
        Part::Relay(of) => match stand_by(&of.settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// The platform holds our stdin. When it dies, however it does, nobody would stop us.
fn end_with_the_platform() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(read) if read > 0) {}
        std::process::exit(1);
    });
}

async fn service(of: Of) -> ExitCode {
    let Of {
        name,
        settings,
        dictionaries,
    } = of;
    let texts = Texts::new(&settings.content_dir);
    match name {
        Name::FileService => file_service(settings).await,
        Name::EssayLifecycle => service_kit::main(settings, EssayLifecycle).await,
        Name::BatchOrchestrator => service_kit::main(settings, BatchOrchestrator).await,
        Name::CjAssessment => service_kit::main(settings, CjAssessment { texts }).await,
        Name::ResultAggregator => service_kit::main(settings, ResultAggregator).await,
        Name::Spellcheck => match read_dictionaries(&dictionaries) {
            Ok(dictionaries) => {
                let dictionaries = Arc::new(dictionaries);
                service_kit::main(settings, Spellcheck { texts, dictionaries }).await
            }
            Err(error) => fail(&error),
        },
    }
}

pub(crate) fn read_dictionaries(folder: &Path) -> Result<Dictionaries> {
    Ok(Dictionaries::read(folder)?)
}

/// The File Service, which needs PostgreSQL.
#[cfg(feature = "postgres")]
async fn file_service(settings: Settings) -> ExitCode {
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        config: file_service::Config,
    }

    let content_dir = settings.content_dir.display().to_string();
    let listen = settings.listen.to_string();
    let given = [
        ("--database-url", settings.database_url.as_str()),
        ("--brokers", &settings.brokers),
        ("--listen", &listen),
        ("--content-dir", &content_dir),
        // What a killed process had begun is taken up soon.
        ("--claim", "2"),
    ];
    let given = given.into_iter().flat_map(|(name, value)| [name, value]);
    let config = Arguments::parse_from(["file-service"].into_iter().chain(given)).config;
    file_service::main(file_service::Config {
        mock_brokers: settings.mock_brokers,
        failover: settings.failover,
        ..config
    })
    .await
}

/// In place of the File Service, which needs PostgreSQL.
#[cfg(not(feature = "postgres"))]
async fn file_service(settings: Settings) -> ExitCode {
    let texts = Texts::new(&settings.content_dir);
    service_kit::main(settings, crate::stand_in::FileService { texts }).await
}

/// Relays for a service whose own relay has gone.
async fn stand_by(settings: &Settings) -> Result<()> {
    let pool = connect(&settings.database_url)
        .await
        .context("cannot connect to the database")?;
    let relay = relay(settings, &pool)?.build()?.spawn();
    relay.ended().await;
    relay.stop().await?;
    Ok(())
}
