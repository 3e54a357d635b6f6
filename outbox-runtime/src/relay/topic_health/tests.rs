//! The rule, and that nothing is suspended without proof.

use proptest::prelude::*;

use super::*;

fn topics() -> (TopicHealth, TopicNumber, TopicNumber) {
    let mut topics = TopicHealth::new(&RelayConfig::default());
    let (sick, well) = (topics.number("sick"), topics.number("well"));
    (topics, sick, well)
}

#[test]
fn only_what_was_handed_over_after_it_became_suspect_proves_anything() {
    let (mut topics, sick, well) = topics();
    topics.failed(sick, 10, "unknown".to_owned());
    assert!(topics.acknowledged(well, 9).is_empty());
    assert_eq!(topics.acknowledged(well, 10), [sick]);
}

#[test]
fn an_outage_proves_nothing() {
    let (mut topics, sick, well) = topics();
    topics.silent(sick, 3, 10, Duration::from_secs(3));
    topics.silent(well, 4, 10, Duration::from_secs(3));
    assert!(
        topics.acknowledged(well, 11).is_empty(),
        "a suspect topic proves nothing"
    );
    topics.recover(well);
    assert!(
        topics.acknowledged(well, 9).is_empty(),
        "it was on its way before"
    );
}

#[test]
fn the_end_of_an_outage_proves_nothing_yet() {
    let (mut topics, sick, well) = topics();
    topics.silent(sick, 3, 10, Duration::from_secs(3));
    topics.postpone(20, Instant::now() + Duration::from_secs(60));
    assert!(topics.acknowledged(well, 25).is_empty(), "it is too early");
    topics.postpone(20, Instant::now());
    assert!(
        topics.acknowledged(well, 19).is_empty(),
        "it was on its way before"
    );
    assert_eq!(topics.acknowledged(well, 20), [sick]);
}

#[test]
fn what_is_suspended_stays_so_until_it_recovers() {
    let (mut topics, sick, well) = topics();
    topics.failed(sick, 0, "unknown".to_owned());
    topics.suspend(sick, "else");
    topics.failed(sick, 5, "later".to_owned());
    assert_eq!(
        *topics.state(sick),
        TopicState::Suspended {
            error: "unknown".to_owned()
        }
    );
    assert!(topics.acknowledged(well, 9).is_empty());
    assert_eq!(topics.suspended().collect::<Vec<_>>(), [sick]);
    topics.recover(sick);
    assert_eq!(topics.suspended().count(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Failed(TopicNumber),
    Silent(TopicNumber),
    Acknowledged(TopicNumber, Ticket),
    Trusted(TopicNumber),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u32..4).prop_map(Step::Failed),
        (0u32..4).prop_map(Step::Silent),
        (0u32..4, 0u64..200).prop_map(|(topic, ticket)| Step::Acknowledged(topic, ticket)),
        (0u32..4).prop_map(Step::Trusted),
    ]
}

proptest! {
    /// However troubles and acknowledgements come: a topic is suspended only after a record of another one,
    /// which is in no trouble, was handed over behind its own trouble and acknowledged.
    #[test]
    fn nothing_is_suspended_without_proof(steps in proptest::collection::vec(step(), 1..80)) {
        let mut topics = TopicHealth::new(&RelayConfig::default());
        for name in ["a", "b", "c", "d"] {
            topics.number(name);
        }
        let mut since = [None::<Ticket>; 4];
        for (next, step) in steps.into_iter().enumerate() {
            let next = next as Ticket * 2;
            match step {
                Step::Failed(topic) => {
                    topics.failed(topic, next, String::new());
                    since[topic as usize].get_or_insert(next);
                }
                Step::Silent(topic) => {
                    topics.silent(topic, 0, next, Duration::ZERO);
                    since[topic as usize].get_or_insert(next);
                }
                Step::Trusted(topic) => {
                    topics.recover(topic);
                    since[topic as usize] = None;
                }
                Step::Acknowledged(topic, ticket) => {
                    for proven in topics.acknowledged(topic, ticket) {
                        prop_assert!(proven != topic && since[topic as usize].is_none());
                        prop_assert!(since[proven as usize].is_some_and(|since| since <= ticket));
                        topics.suspend(proven, "");
                    }
                }
            }
            let counted = topics.suspects().count();
            prop_assert_eq!(counted, topics.suspect_count);
        }
    }
}
