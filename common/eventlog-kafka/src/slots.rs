//! State slots: processes that share a state directory take one each.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::Error;

/// More processes than this on one directory are a mistake.
const SLOTS_MAX: usize = 1_000;

/// The first slot of a directory that no other process had.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) directory: PathBuf,
    /// Names the slot on all machines, for as long as its directory is there: part of the
    /// transactional ids, so a restart ends its own dead transactions and nobody else's.
    pub(crate) id: Uuid,
    /// Keeps others away, as long as it is open.
    _lock: File,
}

impl Slot {
    pub(crate) fn take(state_directory: &Path) -> Result<Self, Error> {
        for number in 0..SLOTS_MAX {
            let directory = state_directory.join(format!("slot-{number}"));
            let taken = take(&directory).map_err(|error| Error::directory(&directory, error))?;
            if let Some(slot) = taken {
                tracing::info!(directory = %slot.directory.display(), id = %slot.id, "slot taken");
                return Ok(slot);
            }
        }
        Err(Error::directory(state_directory, format!("all {SLOTS_MAX} slots are taken")))
    }
}

fn take(directory: &Path) -> io::Result<Option<Slot>> {
    fs::create_dir_all(directory)?;
    let path = directory.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let id = id(directory)?;
    Ok(Some(Slot { directory: directory.to_owned(), id, _lock: lock }))
}

/// The slot's name, made up once. It is on disk before anyone else hears it: otherwise a power cut
/// could leave transactions that nobody ends.
fn id(directory: &Path) -> io::Result<Uuid> {
    let path = directory.join("id");
    let known = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(id) = known {
        return Ok(id);
    }
    let id = Uuid::now_v7();
    let unfinished = directory.join("id.unfinished");
    fs::write(&unfinished, id.to_string())?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_on_one_directory_take_a_slot_each_and_find_theirs_again() {
        let directory = tempfile::TempDir::new().unwrap();
        let first = Slot::take(directory.path()).unwrap();
        let second = Slot::take(directory.path()).unwrap();
        assert_ne!(first.directory, second.directory);
        assert_ne!(first.id, second.id);

        let id = first.id;
        drop(first);
        assert_eq!(Slot::take(directory.path()).unwrap().id, id);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Slot::take(file.path()).map(|slot| slot.id);
        let Err(Error::StateDirectory { path, .. }) = refused else { panic!("{refused:?}") };
        assert!(path.starts_with(file.path()));
    }
}
