//! A small shop to try the system with: products, their stock, and customers.
//!
//! It is loaded by requests like any client's, each with an id of its own, so that loading it
//! again changes nothing. Two names of one file in the data directory tell how far it came:
//!
//! - neither is there: it is not wanted, or the directory was in use before
//! - `sample-loading`, made before anything else: it is to be loaded, from the beginning; no client
//!   is served before it is, so nothing of theirs is overwritten
//! - `sample-loaded`: all of it is on disk

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use events::payment::{CustomerRequest, PutCustomer};
use events::stock::{AdjustStock, ProductRequest, PutProduct};
use events::topics::{CUSTOMER_REQUESTS, PRODUCT_REQUESTS};
use inventory_service::topology::STOCK;
use payments_service::topology::ACCOUNTS;
use serde::Deserialize;
use shell::requests::{Requests, entry};
use shell::{ServiceError, ServiceHandle};

/// Why the sample is not loaded. It is tried again at the next start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file that tells how far it came cannot be written.
    #[error("{}: {source}", path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A service does not take it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The sample itself is not what it should be.
    #[error("sample.json: {0}")]
    Content(#[from] serde_json::Error),
}

/// What is to be put into the shop.
#[derive(Debug, Deserialize)]
struct Content {
    products: Vec<PutProduct>,
    stock: Vec<AdjustStock>,
    customers: Vec<PutCustomer>,
}

impl Content {
    fn read() -> Result<Self, Error> {
        Ok(serde_json::from_str(include_str!("sample.json"))?)
    }
}

/// The note in a data directory of how far the sample came.
#[derive(Clone, Debug)]
pub struct Sample {
    directory: PathBuf,
    is_wanted: bool,
}

impl Sample {
    /// The sample of this data directory. Where the directory is not there or empty, and the
    /// sample `is_wanted`, it is noted that it is to be loaded; so this comes before anything else
    /// is written there.
    ///
    /// # Errors
    /// [`Error::Note`].
    pub fn prepare(directory: &Path, is_wanted: bool) -> Result<Self, Error> {
        let sample = Sample { directory: directory.to_owned(), is_wanted };
        if is_wanted && is_empty(directory) {
            let path = sample.loading();
            let note = || {
                fs::create_dir_all(directory)?;
                File::create(&path)?;
                sync(directory)
            };
            note().map_err(|source| Error::Note { path: path.clone(), source })?;
        }
        Ok(sample)
    }

    /// Whether all of it is on disk.
    pub fn is_loaded(&self) -> bool {
        self.directory.join("sample-loaded").exists()
    }

    fn loading(&self) -> PathBuf {
        self.directory.join("sample-loading")
    }

    /// Loads what is still to be loaded, and waits until it can be ordered. Where it is not wanted
    /// any more, it stays as it was cut off.
    ///
    /// # Errors
    /// [`Error`]; what is loaded by then does no harm.
    pub async fn load(
        &self,
        inventory: &ServiceHandle,
        payments: &ServiceHandle,
    ) -> Result<(), Error> {
        let path = self.loading();
        if !path.exists() {
            return Ok(());
        }
        if self.is_wanted {
            let content = Content::read()?;
            load_products(inventory, content.products, content.stock).await?;
            load_customers(payments, content.customers).await?;
        }
        let done = || {
            if self.is_wanted {
                fs::rename(&path, self.directory.join("sample-loaded"))?;
            } else {
                fs::remove_file(&path)?;
            }
            sync(&self.directory)
        };
        done().map_err(|source| Error::Note { path: path.clone(), source })
    }
}

async fn load_products(
    inventory: &ServiceHandle,
    products: Vec<PutProduct>,
    stock: Vec<AdjustStock>,
) -> Result<(), Error> {
    let requests = Requests::new(inventory.clone(), PRODUCT_REQUESTS);
    let products = products.into_iter().map(ProductRequest::Put);
    let stock = stock.into_iter().map(ProductRequest::AdjustStock);
    let mut sent = Vec::new();
    for request in products.chain(stock) {
        let (id, request_id) = (request.product_id().clone(), request.request_id().to_string());
        sent.push((requests.send(&id, &request, &request_id).await?, id));
    }
    for (sent, id) in sent {
        requests.look_up(&id, vec![entry(&STOCK, &id)], Some(&sent)).await?;
    }
    Ok(())
}

async fn load_customers(
    payments: &ServiceHandle,
    customers: Vec<PutCustomer>,
) -> Result<(), Error> {
    let requests = Requests::new(payments.clone(), CUSTOMER_REQUESTS);
    let mut sent = Vec::new();
    for request in customers.into_iter().map(CustomerRequest::Put) {
        let (id, request_id) = (request.customer_id().clone(), request.request_id().to_string());
        sent.push((requests.send(&id, &request, &request_id).await?, id));
    }
    for (sent, id) in sent {
        requests.look_up(&id, vec![entry(&ACCOUNTS, &id)], Some(&sent)).await?;
    }
    Ok(())
}

/// Whether nothing is in the directory yet. One that cannot be read is not: opening the log there
/// will say what is wrong with it.
fn is_empty(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// A name is on disk once its directory is.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_content_is_readable_and_every_request_has_its_own_id() {
        let Content { products, stock, customers } = Content::read().unwrap();

        let known: BTreeSet<_> = products.iter().map(|product| &product.product_id).collect();
        assert!(stock.iter().all(|stock| known.contains(&stock.product_id)));
        let ids: BTreeSet<_> = products
            .iter()
            .map(|request| request.request_id)
            .chain(stock.iter().map(|request| request.request_id))
            .chain(customers.iter().map(|request| request.request_id))
            .collect();
        assert_eq!(ids.len(), products.len() + stock.len() + customers.len());
    }

    #[test]
    fn an_empty_directory_is_noted_as_one_to_load_the_sample_into() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("new");

        for path in [directory.path(), &new] {
            let sample = Sample::prepare(path, true).unwrap();
            assert!(sample.loading().exists(), "{}", path.display());
            assert!(!sample.is_loaded());
            let again = Sample::prepare(path, true).unwrap();
            assert!(again.loading().exists(), "a start that was cut off is noted");
        }
    }

    #[test]
    fn a_directory_in_use_and_one_without_sample_stay_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let unwanted = Sample::prepare(directory.path(), false).unwrap();
        assert!(!unwanted.loading().exists());

        fs::write(directory.path().join("journal"), "").unwrap();
        let in_use = Sample::prepare(directory.path(), true).unwrap();
        assert!(!in_use.loading().exists());
    }
}
