//! How long a request takes whose events go through the outbox, and one whose events are published directly.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{SubsecRound, Utc};
use contracts::assessment::{CJAssessmentCompletedV1, RankedEssay};
use contracts::batch::{BatchEssaysRegistered, BatchPhaseCompletedV1, Outcome, Phase};
use contracts::spellcheck::{SpellcheckCompletedV1, SpellcheckStatus};
use file_service::uploads::{NewUpload, Sender};
use outbox_runtime::Outbox;
use outbox_runtime::modes::Mode;
use service_kit::{Db, Settings, connect, create_tables, open_outbox, relay};
use tokio::time::Instant;
use uuid::Uuid;

use crate::arguments::Name;
use crate::database::Databases;

/// Essays of a batch.
const ESSAYS: usize = 8;

/// The measured transaction of a service.
fn transaction(name: Name) -> &'static str {
    match name {
        Name::FileService => "accept_uploads",
        Name::EssayLifecycle => "receive_file",
        Name::BatchOrchestrator => "register_batch",
        Name::Spellcheck => "finish_check",
        Name::CjAssessment => "complete_job",
        Name::ResultAggregator => "receive_ranking",
    }
}

/// Times of one mode, sorted.
#[derive(Default)]
struct Times {
    /// Until the call returned.
    returned: Vec<Duration>,
    /// Until the broker had the event.
    published: Vec<Duration>,
}

/// Prints a table: each service's transaction so many times in each mode.
pub(crate) async fn run(settings: &Settings, databases: [&Databases; 2], count: usize) -> Result<()> {
    println!(
        "{:<20} {:<16} {:>21} {:>21} {:>21}",
        "ms at p50 / p99", "transaction", "direct", "outbox", "outbox, on Kafka"
    );
    for name in Name::ALL {
        let mut cells = Vec::new();
        for (mode, databases) in [Mode::Direct, Mode::Outbox].into_iter().zip(databases) {
            let settings = Settings {
                database_url: databases.create(name).await?,
                mode,
                ..settings.clone()
            };
            let times = times(name, &settings, count).await?;
            cells.push(cell(&times.returned));
            if mode == Mode::Outbox {
                cells.push(cell(&times.published));
            }
        }
        println!(
            "{:<20} {:<16} {:>21} {:>21} {:>21}",
            name.as_str(),
            transaction(name),
            cells[0],
            cells[1],
            cells[2]
        );
    }
    Ok(())
}

fn cell(times: &[Duration]) -> String {
    let at = |percent: usize| {
        let time = times.get(times.len() * percent / 100).or(times.last());
        time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    format!("{:.1} / {:.1}", at(50), at(99))
}

async fn times(name: Name, settings: &Settings, count: usize) -> Result<Times> {
    let pool = connect(&settings.database_url).await?;
    match name {
        Name::FileService => file_service::MIGRATIONS.run(&pool).await?,
        Name::EssayLifecycle => create_tables(&pool, essay_lifecycle::TABLES).await?,
        Name::BatchOrchestrator => create_tables(&pool, batch_orchestrator::TABLES).await?,
        Name::Spellcheck => create_tables(&pool, spellcheck::TABLES).await?,
        Name::CjAssessment => create_tables(&pool, cj_assessment::TABLES).await?,
        Name::ResultAggregator => create_tables(&pool, result_aggregator::TABLES).await?,
    }
    let outbox = open_outbox(settings, &pool)?;
    let relay = relay(settings, &pool)?.waker(outbox.waker()).build()?.spawn();
    let mut times = Times::default();
    // The first calls connect, and prepare statements.
    for number in 0..count + 20 {
        prepare(name, &outbox, number).await?;
        let delivered = delivered(&relay, &outbox, settings.mode).await?;
        let began = Instant::now();
        call(name, &outbox, number).await?;
        let returned = began.elapsed();
        if settings.mode == Mode::Outbox {
            while relay.progress().delivered() == delivered {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        if number >= 20 {
            times.returned.push(returned);
            times.published.push(began.elapsed());
        }
    }
    times.returned.sort_unstable();
    times.published.sort_unstable();
    relay.stop().await?;
    pool.close().await;
    Ok(times)
}

/// How many events the relay has delivered, once that is all of them.
async fn delivered(relay: &outbox_runtime::RunningRelay, outbox: &Outbox<Db>, mode: Mode) -> Result<u64> {
    if mode != Mode::Outbox {
        return Ok(0);
    }
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_messages")
        .fetch_one(outbox.pool())
        .await?;
    let events = u64::try_from(events)?;
    while relay.progress().delivered() < events {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(events)
}

fn batch(number: usize) -> String {
    Uuid::from_u128(number as u128 + 1).to_string()
}

/// What has to be there before the call, without any event of its own if that is possible.
async fn prepare(name: Name, outbox: &Outbox<Db>, number: usize) -> Result<()> {
    let batch_id = batch(number);
    match name {
        Name::EssayLifecycle => {
            let essays: Vec<String> = (0..ESSAYS).map(|essay| format!("{batch_id}/{essay}")).collect();
            essay_lifecycle::transactions::register_batch(outbox, &batch_id, &essays).await?;
        }
        Name::ResultAggregator => {
            use result_aggregator::transactions::{receive_phase, register_batch};
            register_batch(outbox, registered(batch_id.clone())).await?;
            for phase in [Phase::Spellcheck, Phase::CjAssessment] {
                let ended = BatchPhaseCompletedV1 {
                    batch_id: batch_id.clone(),
                    phase,
                    status: Outcome::Completed,
                    processed_essay_ids: Vec::new(),
                    failed_essay_ids: Vec::new(),
                    correlation_id: Uuid::nil(),
                };
                receive_phase(outbox, ended).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The measured transaction, with its row and its event.
async fn call(name: Name, outbox: &Outbox<Db>, number: usize) -> Result<()> {
    let batch_id = batch(number);
    match name {
        Name::FileService => {
            let upload = upload(number);
            let sender = Sender {
                batch_id,
                user_id: "teacher-1".to_owned(),
                correlation_id: upload.id,
                request_key: None,
            };
            file_service::uploads::accept_uploads(outbox, &sender, &[upload]).await?;
        }
        Name::EssayLifecycle => {
            let file = essay_lifecycle::transactions::File {
                file_upload_id: Uuid::now_v7(),
                text_storage_id: Some("text/1".to_owned()),
            };
            essay_lifecycle::transactions::receive_file(outbox, &batch_id, &file).await?;
        }
        Name::BatchOrchestrator => {
            let batch = batch_orchestrator::transactions::NewBatch {
                essay_ids: (0..ESSAYS).map(|essay| essay.to_string()).collect(),
                batch_id,
                user_id: "teacher-1".to_owned(),
                course_code: "EN1".to_owned(),
                language: "en".to_owned(),
                essay_instructions: String::new(),
                correlation_id: Uuid::now_v7(),
            };
            batch_orchestrator::transactions::register_batch(outbox, batch).await?;
        }
        Name::Spellcheck => {
            spellcheck::transactions::finish_check(outbox, checked(batch_id)).await?;
        }
        Name::CjAssessment => {
            let started = cj_assessment::transactions::start_job(outbox, &batch_id, Uuid::now_v7()).await?;
            let job = started.context("the batch is new")?;
            cj_assessment::transactions::complete_job(outbox, &job, &rankings(), 0.1).await?;
        }
        Name::ResultAggregator => {
            let ranked = CJAssessmentCompletedV1 {
                batch_id,
                cj_assessment_job_id: "job".to_owned(),
                rankings: rankings(),
                processing_seconds: 0.1,
                correlation_id: Uuid::nil(),
            };
            result_aggregator::transactions::receive_ranking(outbox, ranked).await?;
        }
    }
    Ok(())
}

fn upload(number: usize) -> NewUpload {
    NewUpload {
        id: Uuid::now_v7(),
        filename: format!("essay-{number}.txt"),
        raw_storage_id: Some("raw/1".to_owned()),
        size_bytes: 1_500,
        content_md5: None,
    }
}

fn registered(batch_id: String) -> BatchEssaysRegistered {
    BatchEssaysRegistered {
        batch_id,
        expected_essay_count: ESSAYS as i32,
        essay_ids: Vec::new(),
        course_code: "EN1".to_owned(),
        essay_instructions: String::new(),
        user_id: "teacher-1".to_owned(),
        org_id: None,
        class_id: None,
        correlation_id: Uuid::nil(),
    }
}

fn checked(batch_id: String) -> SpellcheckCompletedV1 {
    SpellcheckCompletedV1 {
        essay_id: "essay-1".to_owned(),
        batch_id,
        status: SpellcheckStatus::Completed,
        corrections_made: 1,
        word_count: 250,
        original_text_storage_id: "text/1".to_owned(),
        corrected_text_storage_id: Some("corrected/1".to_owned()),
        processing_duration_ms: 5,
        correlation_id: Uuid::now_v7(),
        timestamp: Utc::now().trunc_subsecs(6),
    }
}

fn rankings() -> Vec<RankedEssay> {
    let ranked = |rank: i32| RankedEssay {
        essay_id: rank.to_string(),
        rank,
        score: f64::from(rank),
    };
    (1..=ESSAYS as i32).map(ranked).collect()
}
