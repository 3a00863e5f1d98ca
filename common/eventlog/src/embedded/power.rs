//! Files whose power can be cut: they keep what was written since the last sync apart, and lose
//! any part of it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What a disk writes as a whole or not at all.
const PIECE_BYTES: usize = 512;
const PAGE_BYTES: usize = 4_096;

/// What a cut leaves of the writes since the last sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Synced,
    /// Those up to some byte of one of them.
    Prefix,
    /// All of them, but pages of the part of the file that was never synced are zero.
    ZeroedPages,
    /// Of each any of its pieces.
    Pieces,
}

const CUTS: [Cut; 4] = [Cut::Synced, Cut::Prefix, Cut::ZeroedPages, Cut::Pieces];

/// How the files behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// The power is cut at this write, sync or change of length, counted over all files.
    pub(crate) cut_after: u64,
    /// A sync says that it is done and does nothing.
    pub(crate) syncs_do_nothing: bool,
    /// This one of the syncs fails; those of the same file after it say that they are done.
    pub(crate) failing_sync: Option<u64>,
}

impl Faults {
    pub(crate) const NONE: Faults =
        Faults { cut_after: u64::MAX, syncs_do_nothing: false, failing_sync: None };
}

/// The power supply of some files: it goes for all of them at once.
#[derive(Debug)]
pub(crate) struct Supply {
    faults: Faults,
    operations: u64,
    syncs: u64,
    files: Vec<Contents>,
}

/// A file.
#[derive(Debug, Default)]
struct Contents {
    synced: Vec<u8>,
    current: Vec<u8>,
    since: Vec<Change>,
    /// Whether a sync has failed.
    has_failed: bool,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// One of the files, as the store sees it.
pub(crate) struct PoweredFile {
    supply: Arc<Mutex<Supply>>,
    number: usize,
}

impl Supply {
    /// Files with this content, all of it synced.
    pub(crate) fn new(contents: Vec<Vec<u8>>, faults: Faults) -> Arc<Mutex<Self>> {
        let file = |content: Vec<u8>| Contents {
            synced: content.clone(),
            current: content,
            ..Contents::default()
        };
        let files = contents.into_iter().map(file).collect();
        Arc::new(Mutex::new(Supply { faults, operations: 0, syncs: 0, files }))
    }

    /// What the files hold while there is power.
    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        self.files.iter().map(|file| file.current.clone()).collect()
    }

    /// What is found on the disks when the power comes back.
    pub(crate) fn after_the_cut(&self, random: &mut Random) -> (Cut, Vec<Vec<u8>>) {
        let cut = CUTS[random.below(CUTS.len())];
        (cut, self.files.iter().map(|file| file.after_a_cut(cut, random)).collect())
    }

    /// Counts an operation, and says whether there is power after it.
    fn has_power(&mut self) -> bool {
        self.operations += 1;
        self.operations < self.faults.cut_after
    }
}

impl Contents {
    fn after_a_cut(&self, cut: Cut, random: &mut Random) -> Vec<u8> {
        let mut image = self.synced.clone();
        match cut {
            Cut::Synced => {}
            Cut::Prefix => {
                let whole = random.below(self.since.len() + 1);
                self.since[..whole].iter().for_each(|change| change.apply(&mut image));
                if let Some(Change::Write(at, data)) = self.since.get(whole) {
                    let torn = data[..random.below(data.len() + 1)].to_vec();
                    Change::Write(*at, torn).apply(&mut image);
                }
            }
            Cut::ZeroedPages => {
                image.clone_from(&self.current);
                let never_synced = image.get_mut(self.synced.len()..).unwrap_or_default();
                let pages = never_synced.chunks_mut(PAGE_BYTES);
                pages.filter(|_| random.coin()).for_each(|page| page.fill(0));
            }
            Cut::Pieces => self.since.iter().for_each(|change| match change {
                Change::Write(at, data) => {
                    let pieces = data.chunks(PIECE_BYTES).enumerate();
                    for (index, piece) in pieces.filter(|_| random.coin()) {
                        let piece = Change::Write(at + index * PIECE_BYTES, piece.to_vec());
                        piece.apply(&mut image);
                    }
                }
                length if random.coin() => length.apply(&mut image),
                Change::Length(_) => {}
            }),
        }
        image
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => {
                let end = at + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(data);
            }
            Change::Length(length) => content.resize(*length, 0),
        }
    }
}

impl PoweredFile {
    pub(crate) fn new(supply: &Arc<Mutex<Supply>>, number: usize) -> Self {
        PoweredFile { supply: Arc::clone(supply), number }
    }

    fn lock(&self) -> MutexGuard<'_, Supply> {
        self.supply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut supply = self.lock();
        let had_power = supply.operations < supply.faults.cut_after;
        let has_power = supply.has_power();
        if had_power {
            // What is being written when the power goes may reach the disk.
            let file = &mut supply.files[self.number];
            change.apply(&mut file.current);
            file.since.push(change);
        }
        if has_power { Ok(()) } else { Err(no_power()) }
    }
}

fn no_power() -> io::Error {
    io::Error::other("no power")
}

impl StorageBackend for PoweredFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().files[self.number].current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let supply = self.lock();
        let start = offset as usize;
        let content = &supply.files[self.number].current;
        let found = content.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut supply = self.lock();
        if !supply.has_power() {
            return Err(no_power());
        }
        supply.syncs += 1;
        let fails = supply.faults.failing_sync == Some(supply.syncs);
        let does_nothing = supply.faults.syncs_do_nothing;
        let file = &mut supply.files[self.number];
        if fails {
            file.has_failed = true;
            return Err(io::Error::other("the disk gave up"));
        }
        if !file.has_failed && !does_nothing {
            file.synced.clone_from(&file.current);
            file.since.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset as usize, data.to_vec()))
    }
}

impl fmt::Debug for PoweredFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PoweredFile").field("number", &self.number).finish()
    }
}

/// Random numbers from a seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
