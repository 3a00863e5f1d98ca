//! The system that serves the page, with its sample, and what other clients do meanwhile.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use e2e_tests::http_client::{Client, Target};
use hyper::Method;
use quickstart::{Running, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than any answer takes.
const TIME_MAX: Duration = Duration::from_secs(10);

/// The running system.
#[derive(Debug)]
pub(crate) struct Shop {
    directory: TempDir,
    running: Running,
}

impl Shop {
    /// Starts it on an empty directory.
    pub(crate) async fn open() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "127.0.0.1:0").await
    }

    async fn start(directory: TempDir, listen: &str) -> Self {
        let settings = Settings {
            listen: listen.to_owned(),
            data_dir: directory.path().to_owned(),
            partitions: 3,
            orders: orders_service::settings::Settings::default(),
            read_model: orders_read_model::Settings::default(),
            no_sample: false,
        };
        let running = quickstart::start(&settings).await.unwrap();
        Shop { directory, running }
    }

    /// Stops it, calls `meanwhile`, and starts it again at the same address.
    pub(crate) async fn restart(self, meanwhile: impl Future<Output = ()>) -> Self {
        let listen = self.address().to_string();
        self.running.stop().await;
        meanwhile.await;
        Self::start(self.directory, &listen).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Another client orders one notebook.
    pub(crate) async fn order(&self, id: &str, customer: &str) {
        let body: Value = json!({"id": id, "customerId": customer, "currency": "GBP",
            "lines": [{"productId": "notebook", "quantity": 1}]});
        let target = Target::resolve(&self.url()).await.unwrap();
        let mut client = Client::new(target, TIME_MAX);
        let body = body.to_string().into();
        let answer = client.send(Method::POST, "/v1/orders".into(), body).await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    pub(crate) async fn close(self) {
        self.running.stop().await;
    }
}
