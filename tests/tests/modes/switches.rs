//! Switches that are refused, and why; and what the audit table records of those that are not.

use std::time::Duration;

use outbox_runtime::Error;
use outbox_runtime::modes::{Mode, ModeScope};
use outbox_runtime::store::{PauseScope, SwitchError, SwitchRefusal};
use outbox_tests::wait_until;

use crate::scene::{LIMIT, Scene, emit, message, why};

const SHORT: Duration = Duration::from_millis(1_200);

fn orders() -> ModeScope {
    ModeScope::Topic("orders".to_owned())
}

#[track_caller]
fn refused(switched: Result<bool, SwitchError>) -> SwitchRefusal {
    match switched {
        Err(SwitchError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_drained_refuses() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    emit(&outbox, &[message("orders", "a"), message("others", "a")])
        .await
        .unwrap();
    let no_relay = scene.set_within(orders(), Some(Mode::Direct), SHORT).await;
    assert_eq!(refused(no_relay), SwitchRefusal::NoRelay { waiting: 1 });

    // A relay that may not read.
    scene.controls().pause(&PauseScope::Log, &why()).await.unwrap();
    let relay = scene.relay();
    wait_until("the relay to be active", LIMIT, async || {
        (scene.count("outbox_lease WHERE holder IS NOT NULL").await == 1).then_some(())
    })
    .await;
    match refused(scene.set_within(orders(), Some(Mode::Direct), SHORT).await) {
        SwitchRefusal::Backlog {
            waiting: 1,
            relay: Some(_),
        } => {}
        other => panic!("{other:?}"),
    }

    // Records that wait for their topic.
    scene
        .controls()
        .pause(&PauseScope::Topic("orders".to_owned()), &why())
        .await
        .unwrap();
    scene.controls().resume(&PauseScope::Log, &why()).await.unwrap();
    wait_until("the record to be parked", LIMIT, async || {
        (scene.count("outbox_dead_letters WHERE state = 'parked'").await == 1).then_some(())
    })
    .await;
    let outlook = scene
        .controls()
        .mode_outlook(&orders(), Some(Mode::Shadow))
        .await
        .unwrap();
    assert_eq!(outlook.refused, Some(SwitchRefusal::Parked { messages: 1 }));
    let parked = scene.set_within(orders(), Some(Mode::Shadow), SHORT).await;
    assert_eq!(refused(parked), SwitchRefusal::Parked { messages: 1 });

    // Nothing of it was done, and what is of another scope is free.
    assert_eq!(scene.controls().modes().await.unwrap(), []);
    assert!(
        scene
            .set(ModeScope::Topic("others".to_owned()), Some(Mode::Direct))
            .await
            .unwrap()
    );
    scene
        .controls()
        .resume(&PauseScope::Topic("orders".to_owned()), &why())
        .await
        .unwrap();
    assert!(scene.set(orders(), Some(Mode::Direct)).await.unwrap());
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_does_not_end_refuses_and_is_named() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    let refusal = outbox
        .transaction(async |tx| {
            // Decides on the mode, which must not change from now on.
            let held = sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()")
                .fetch_one(&mut **tx)
                .await
                .unwrap();
            let event = Placed {};
            assert_eq!(tx.mode(&event).await?, Mode::Outbox);
            let refusal = refused(scene.set_within(orders(), Some(Mode::Direct), SHORT).await);
            tx.emit(event)?;
            Ok::<_, Error>((held, refusal))
        })
        .await;
    match refusal.unwrap() {
        (pid, SwitchRefusal::Writers(holders)) => {
            assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [pid]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_on_their_way_hold_up_the_switch_back() {
    let scene = Scene::new().await;
    let outbox = scene.outbox();
    scene.set(orders(), Some(Mode::Direct)).await.unwrap();
    scene.broker.hold();
    let sending = tokio::spawn(async move { emit(&outbox, &[message("orders", "a")]).await });
    wait_until("it to be sent", LIMIT, async || {
        (scene.broker.waiting() == 1).then_some(())
    })
    .await;
    match refused(scene.set_within(orders(), Some(Mode::Outbox), SHORT).await) {
        SwitchRefusal::Sending(holders) => assert_eq!(holders.len(), 1),
        other => panic!("{other:?}"),
    }
    scene.broker.release();
    sending.await.unwrap().unwrap();
    assert!(scene.set(orders(), Some(Mode::Outbox)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_recorded_with_who_and_why_and_no_change_is_not() {
    let scene = Scene::new().await;
    assert!(scene.set(orders(), Some(Mode::Direct)).await.unwrap());
    assert!(!scene.set(orders(), Some(Mode::Direct)).await.unwrap());
    assert!(scene.set(orders(), None).await.unwrap());
    assert!(!scene.set(orders(), None).await.unwrap());
    let audit: Vec<_> = scene.controls().audit(10).await.unwrap();
    let audit: Vec<_> = audit
        .iter()
        .rev()
        .map(|entry| {
            (
                entry.action.as_str(),
                entry.name.as_str(),
                entry.before.as_deref(),
                entry.after.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        audit,
        [
            ("mode", "orders", None, Some("direct")),
            ("mode", "orders", Some("direct"), None)
        ]
    );
    let [setting] = &scene.controls().modes().await.unwrap()[..] else {
        panic!("one setting");
    };
    assert_eq!(
        (setting.mode, setting.by.as_str(), setting.reason.as_str()),
        (None, "ana", "a test")
    );
}

#[derive(serde::Serialize, outbox_runtime::OutboxEvent)]
#[outbox(topic = "orders", aggregate = "order", key = self.key())]
struct Placed {}

impl Placed {
    fn key(&self) -> &'static str {
        "a"
    }
}
