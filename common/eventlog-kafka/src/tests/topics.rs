//! Topics are made as they have to be, and refused where they are not.

use std::time::Duration;

use eventlog::{Retention, TopicConfig};
use tempfile::TempDir;

use super::setup::{PARTITIONS, Setup};
use crate::{Error, KafkaLog, Settings};

#[test]
fn topics_that_are_there_as_they_have_to_be_are_used() {
    let Some(setup) = Setup::find() else { return };
    drop(setup.connect());
    drop(setup.connect());
}

#[test]
fn a_topic_with_other_partitions_is_refused() {
    let Some(setup) = Setup::find() else { return };
    drop(setup.connect());

    let settings = Settings { partitions: PARTITIONS + 1, ..setup.settings() };
    let refused = KafkaLog::connect(settings, &setup.topics(), &[]).map(drop);

    let Err(Error::Topic { topic, setting, found, wanted }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(topic, setup.requests.as_str());
    assert_eq!((setting.as_str(), found.as_str(), wanted.as_str()), ("partitions", "2", "3"));
}

#[test]
fn a_topic_with_another_clean_up_is_refused() {
    let Some(setup) = Setup::find() else { return };
    drop(setup.connect());

    let compacted = TopicConfig { name: setup.requests, retention: Retention::Compacted };
    let refused = KafkaLog::connect(setup.settings(), &[compacted], &[]).map(drop);

    let Err(Error::Topic { setting, found, wanted, .. }) = refused else {
        panic!("{refused:?}");
    };
    let mismatch = (setting.as_str(), found.as_str(), wanted.as_str());
    assert_eq!(mismatch, ("cleanup.policy", "delete", "compact"));
}

#[test]
fn a_broker_that_does_not_answer_is_waited_for_as_long_as_told() {
    let directory = TempDir::new().unwrap();
    // A port that nothing listens on.
    let mut settings = Settings::new("127.0.0.1:1", PARTITIONS, directory.path());
    settings.connect_timeout = Duration::from_millis(300);

    let refused = KafkaLog::connect(settings, &[], &[]).map(drop);

    let Err(Error::Unreachable { bootstrap_servers, waited, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((bootstrap_servers.as_str(), waited.as_millis()), ("127.0.0.1:1", 300));
}
