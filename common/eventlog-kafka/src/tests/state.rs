//! State on disk: what was kept is used, what was lost is read again, what is foreign is not used.

use std::time::Duration;

use eventlog::Session;
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tempfile::TempDir;

use super::setup::{PARTITIONS, Setup, TASK, value};
use crate::Settings;

const ALL: usize = PARTITIONS as usize;

#[test]
fn a_lost_directory_is_restored_from_the_changelog() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    setup.commit(&mut session, "hat");
    setup.commit(&mut session, "socks");
    drop((session, log));

    let elsewhere = TempDir::new().unwrap();
    let mut session = setup.join(&setup.connect_in(elsewhere.path()), ALL);
    assert_eq!(session.positions(&[TASK]).unwrap()[0].checkpoint, None);
    assert_eq!(value(&session, "hat"), None);
    assert_eq!(setup.restore(&mut session), 2);

    assert_eq!(value(&session, "hat").as_deref(), Some(b"hat".as_slice()));
    assert_eq!(value(&session, "socks").as_deref(), Some(b"socks".as_slice()));
}

#[test]
fn of_a_kept_directory_only_the_rest_is_read() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    let end = setup.commit(&mut session, "hat");
    drop((session, log));
    let elsewhere = TempDir::new().unwrap();
    let mut other = setup.join(&setup.connect_in(elsewhere.path()), ALL);
    setup.restore(&mut other);
    setup.commit(&mut other, "socks");
    drop(other);

    let mut session = setup.join(&setup.connect(), ALL);
    assert_eq!(session.positions(&[TASK]).unwrap()[0].checkpoint, Some(end));
    assert_eq!(value(&session, "hat").as_deref(), Some(b"hat".as_slice()));
    assert_eq!(setup.restore(&mut session), 1);
    assert_eq!(value(&session, "socks").as_deref(), Some(b"socks".as_slice()));
}

#[test]
fn a_store_of_a_changelog_that_was_made_anew_is_emptied() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    setup.commit(&mut session, "hat");
    drop((session, log));
    delete_changelog(&setup);
    let elsewhere = TempDir::new().unwrap();
    let mut other = setup.join(&setup.connect_in(elsewhere.path()), ALL);
    // Beyond where the first one ended.
    for text in ["socks", "jumper", "gloves"] {
        setup.commit(&mut other, text);
    }
    drop(other);

    let mut session = setup.join(&setup.connect(), ALL);
    assert_eq!(session.positions(&[TASK]).unwrap()[0].checkpoint, None);
    assert_eq!(value(&session, "hat"), None);
    assert_eq!(setup.restore(&mut session), 3);
    assert_eq!(value(&session, "hat"), None);
}

#[test]
fn a_store_that_is_too_old_is_emptied() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    setup.commit(&mut session, "hat");
    drop((session, log));

    let settings = Settings { state_age_max: Duration::ZERO, ..setup.settings() };
    let mut session = setup.join(&setup.connect_with(settings), ALL);
    assert_eq!(session.positions(&[TASK]).unwrap()[0].checkpoint, None);
    assert_eq!(value(&session, "hat"), None);
}

/// Deletes the changelog, and waits until the broker has done so.
fn delete_changelog(setup: &Setup) {
    let client: AdminClient<DefaultClientContext> = setup.settings().client().create().unwrap();
    let name = setup.service.changelog.as_str();
    let deleted = block_on(client.delete_topics(&[name], &AdminOptions::new())).unwrap();
    assert!(deleted[0].is_ok());
    loop {
        let metadata = client.inner().fetch_metadata(None, Duration::from_secs(10)).unwrap();
        if metadata.topics().iter().all(|topic| topic.name() != name) {
            return;
        }
    }
}
