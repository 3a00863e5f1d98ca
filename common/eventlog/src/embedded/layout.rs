//! How the two files are laid out: their tables, and what is written when they are new.
//!
//! `journal.redb` holds the commits that the last checkpoint does not cover, each row those that
//! were written in one go. `store.redb` holds everything up to the last checkpoint. Names in table
//! names are set apart by NUL, which no name contains.

use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

/// Rows of the journal: the position of the first commit, and the commits, each behind its length
/// in four bytes.
pub(crate) const COMMITS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("commits");

/// Numbers about a file, by name.
pub(crate) const ABOUT: TableDefinition<'static, &str, u64> = TableDefinition::new("about");
/// The layout of the file, a version number.
pub(crate) const LAYOUT: &str = "layout";
/// The number of partitions of every topic.
pub(crate) const PARTITIONS: &str = "partitions";
/// The position of the last commit in the store.
pub(crate) const POSITION: &str = "position";

/// The layout that this module describes.
const LAYOUT_VERSION: u64 = 1;

/// Offsets of groups, by group, topic and partition.
pub(crate) const OFFSETS: TableDefinition<'static, (&str, &str, u32), u64> =
    TableDefinition::new("offsets");

/// Where the records of a partition begin and end, by topic and partition. Those before the
/// beginning have been consumed by all who were to.
pub(crate) const EXTENTS: TableDefinition<'static, (&str, u32), (u64, u64)> =
    TableDefinition::new("extents");

/// Of a partition of a compacted topic, by topic and partition: how many bytes of blocks the last
/// compaction left, and how many were written since.
pub(crate) const CLEANNESS: TableDefinition<'static, (&str, u32), (u64, u64)> =
    TableDefinition::new("cleanness");

/// Changes of stores that are not merged into their tables yet, packed, by the position of the
/// checkpoint that saved them and a number.
pub(crate) const UNMERGED: TableDefinition<'static, (u64, u32), &[u8]> =
    TableDefinition::new("unmerged");

/// The position of the checkpoint that last merged the changes of a slot, by slot. Changes that
/// were saved up to there count no more.
pub(crate) const MERGED_AT: TableDefinition<'static, u32, u64> = TableDefinition::new("merged-at");

pub(crate) const STATE_PREFIX: &str = "state\0";
pub(crate) const RECORDS_PREFIX: &str = "records\0";

/// The name of the table of a topic's records.
pub(crate) fn records_name(topic: &str) -> String {
    format!("{RECORDS_PREFIX}{topic}")
}

/// The name of the table of a state store.
pub(crate) fn state_name(group: &str, store: &str) -> String {
    format!("{STATE_PREFIX}{group}\0{store}")
}

/// Blocks of records, by partition and the offset of the first record.
pub(crate) type ByOffset<'name> = TableDefinition<'name, (u32, u64), &'static [u8]>;

/// By a key behind its partition ([`key_of`]): its value in a state store.
pub(crate) type ValueByKey<'name> = TableDefinition<'name, &'static [u8], &'static [u8]>;

/// A key behind its partition.
pub(crate) fn key_of(partition: u32, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + key.len());
    bytes.extend_from_slice(&partition.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

/// What a file says about itself.
pub(crate) struct About {
    /// Its layout is this one.
    pub(crate) is_current: bool,
    /// The number of partitions it was made with.
    pub(crate) partitions: u32,
    /// The last commit in it; of a journal always 0.
    pub(crate) position: u64,
}

/// What a file says about itself, `None` where it is new.
pub(crate) fn about(database: &Database) -> Result<Option<About>, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(ABOUT) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = |name: &str| Ok::<_, redb::Error>(table.get(name)?.map_or(0, |row| row.value()));
    Ok(Some(About {
        is_current: number(LAYOUT)? == LAYOUT_VERSION,
        partitions: u32::try_from(number(PARTITIONS)?).unwrap_or_default(),
        position: number(POSITION)?,
    }))
}

/// Makes the tables of a new journal.
pub(crate) fn create_journal(database: &Database, partitions: u32) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    write_about(&transaction, partitions)?;
    transaction.open_table(COMMITS)?;
    Ok(transaction.commit()?)
}

/// Makes the tables of a new store.
pub(crate) fn create_store(database: &Database, partitions: u32) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    write_about(&transaction, partitions)?;
    transaction.open_table(OFFSETS)?;
    transaction.open_table(EXTENTS)?;
    transaction.open_table(CLEANNESS)?;
    transaction.open_table(UNMERGED)?;
    transaction.open_table(MERGED_AT)?;
    Ok(transaction.commit()?)
}

fn write_about(transaction: &WriteTransaction, partitions: u32) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(ABOUT)?;
    table.insert(LAYOUT, LAYOUT_VERSION)?;
    table.insert(PARTITIONS, u64::from(partitions))?;
    Ok(())
}
