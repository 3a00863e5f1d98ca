//! State stores.

use bytes::Bytes;
use streams::{KeyRange, Partition, StoreChange, StoreName, TaskCommit};

use super::fixture::{Fixture, Joined, LogFactory, PARTITIONS, delete, put, task};
use crate::log::{Membership, Session};

const STORE: StoreName = StoreName::new("stock");

fn change<S: Session>(session: &mut Joined<S>, partition: u32, changes: Vec<StoreChange>) {
    session.commit(vec![TaskCommit { changes, ..task(partition) }]);
}

fn text(value: Option<Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// The keys of the entries in a range of a partition.
fn range<S: Session>(session: &Joined<S>, range: &KeyRange, limit: usize) -> Vec<String> {
    let entries = session.session.range(Partition(0), STORE, range, limit).expect("readable");
    entries.into_iter().map(|(key, _)| String::from_utf8_lossy(&key).into_owned()).collect()
}

/// The value of a key of partition 0.
fn value<S: Session>(session: &Joined<S>, key: &str) -> Option<String> {
    text(session.session.get(Partition(0), STORE, key.as_bytes()).expect("readable"))
}

/// A later change of a key takes the place of an earlier one, also after housekeeping; a deleted
/// key is gone.
pub fn the_newest_change_of_a_key_counts(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();

    change(&mut session, 0, vec![put("stock", "hat", "1"), put("stock", "socks", "1")]);
    factory.housekeeping(&fixture.log);
    change(&mut session, 0, vec![put("stock", "hat", "2"), delete("stock", "socks")]);
    assert_eq!(value(&session, "hat").as_deref(), Some("2"));
    assert_eq!(value(&session, "socks"), None);

    factory.housekeeping(&fixture.log);
    assert_eq!(value(&session, "hat").as_deref(), Some("2"));
    assert_eq!(value(&session, "socks"), None);

    change(&mut session, 0, vec![delete("stock", "hat"), put("stock", "socks", "3")]);
    assert_eq!(value(&session, "hat"), None);
    assert_eq!(value(&session, "socks").as_deref(), Some("3"));
    assert_eq!(value(&session, "never"), None);
}

/// Entries come in the order of their keys, those of the range and no more than asked for, wherever
/// each of them lies by now.
pub fn ranges_are_in_order_and_bounded(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let all = ["b/1", "b/3", "a/1", "c/1"].map(|key| put("stock", key, "1")).to_vec();
    change(&mut session, 0, all);
    factory.housekeeping(&fixture.log);
    let more = vec![put("stock", "b/2", "1"), delete("stock", "b/1"), put("stock", "b/4", "1")];
    change(&mut session, 0, more);

    let group = KeyRange::prefix(b"b/");
    assert_eq!(range(&session, &KeyRange::all(), 9), ["a/1", "b/2", "b/3", "b/4", "c/1"]);
    assert_eq!(range(&session, &group, 9), ["b/2", "b/3", "b/4"]);
    assert_eq!(range(&session, &group, 2), ["b/2", "b/3"]);
    assert_eq!(range(&session, &group, 0), [""; 0]);
    let from_b3 = KeyRange { from: Bytes::from_static(b"b/3"), until: None };
    assert_eq!(range(&session, &from_b3, 9), ["b/3", "b/4", "c/1"]);
    let empty = KeyRange { from: Bytes::from_static(b"c"), until: Some(Bytes::from_static(b"b")) };
    assert_eq!(range(&session, &empty, 9), [""; 0]);
}

/// Nobody sees the entries of another group, another partition or another store.
pub fn stores_belong_to_a_group_and_a_partition(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let membership = Membership { group: fixture.other_group, sources: vec![fixture.requests] };
    let mut other = fixture.join_as(membership);
    other.until_it_owns(PARTITIONS as usize);

    change(&mut session, 1, vec![put("stock", "hat", "next partition")]);
    change(&mut session, 0, vec![put("reserved", "hat", "next store")]);
    change(&mut other, 0, vec![put("stock", "hat", "next group")]);

    for _ in ["in memory", "after housekeeping"] {
        assert_eq!(value(&session, "hat"), None);
        assert_eq!(range(&session, &KeyRange::all(), 9), [""; 0]);
        assert_eq!(value(&other, "hat").as_deref(), Some("next group"));
        factory.housekeeping(&fixture.log);
    }
}
