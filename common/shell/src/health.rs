//! How a service and the parts beside it are doing.

use crate::metrics::Sample;

/// How a service is doing, for `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What is missing for the service to be ready; empty when nothing is.
    pub missing: Vec<String>,
    /// What is wrong although the service works.
    pub degraded: Vec<String>,
    /// What an operator may want to know of what is neither missing nor wrong.
    pub information: Vec<String>,
}

/// A part beside the workers of a service, of which an operator hears as well. What it does not do
/// keeps no service from being ready: it is told as what is wrong.
pub trait Report: Send + Sync {
    /// How it is doing; well, where nothing can be wrong with it.
    fn health(&self) -> Health {
        Health::default()
    }

    /// What it counts, for `/metrics`.
    fn samples(&self) -> Vec<Sample>;
}
