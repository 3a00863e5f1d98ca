//! How much of the disk a directory takes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::health::Report;
use crate::metrics::{Sample, Value};

/// The directory in which the program keeps its data, for `/metrics`.
#[derive(Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// This directory. It need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DataDirectory(path.into())
    }
}

impl Report for DataDirectory {
    fn samples(&self) -> Vec<Sample> {
        let name = "data_directory_bytes";
        let help = "Size of the files in the data directory: logs, stores and tables.";
        size_bytes(&self.0)
            .map(|bytes| Sample::new(name, help, Value::gauge(bytes)))
            .into_iter()
            .collect()
    }
}

/// The size of all files in a directory and those below it. One that goes away meanwhile counts
/// as empty.
fn size_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_bytes(&entry.path()).unwrap_or(0),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_as_large_as_the_files_in_it_and_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("slot-0");
        fs::create_dir(&inner).unwrap();
        fs::write(directory.path().join("journal"), [0; 700]).unwrap();
        fs::write(inner.join("store"), [0; 77]).unwrap();

        let samples = DataDirectory::new(directory.path()).samples();

        assert!(matches!(samples[..], [Sample { value: Value::Gauge(777), .. }]), "{samples:?}");
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_size() {
        let directory = tempfile::tempdir().unwrap();

        assert!(DataDirectory::new(directory.path().join("none")).samples().is_empty());
    }
}
