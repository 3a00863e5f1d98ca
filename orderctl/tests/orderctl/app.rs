//! The running system, and the program as an operator calls it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use quickstart::{Running, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const PARTITIONS: u32 = 3;
const TRIES_MAX: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(10);

/// The running system, empty but for what a test puts.
pub(crate) struct App {
    pub(crate) runtime: Runtime,
    pub(crate) running: Running,
    pub(crate) directory: TempDir,
}

/// What the program came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it wrote to stdout, where it ended with this code.
    pub(crate) fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.stdout
    }

    /// The one line that it ended with.
    pub(crate) fn error(&self) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (2, ""), "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix("error: ").unwrap()
    }
}

impl App {
    pub(crate) fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_on(directory: TempDir) -> Self {
        let settings = Settings::empty(directory.path(), PARTITIONS);
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(quickstart::start(&settings)).unwrap();
        App { runtime, running, directory }
    }

    /// Stops it; what it has stored is left.
    pub(crate) fn stop(self) -> TempDir {
        self.runtime.block_on(self.running.stop());
        self.directory
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// A file beside the data.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Calls the program.
    pub(crate) fn call(&self, words: &[&str]) -> Ended {
        orderctl(&self.url(), words, "")
    }

    /// Calls the program with a text on stdin.
    pub(crate) fn call_with(&self, words: &[&str], stdin: &str) -> Ended {
        orderctl(&self.url(), words, stdin)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        exchange(self.running.address(), "GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Value {
        exchange(self.running.address(), "POST", path)
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// Where it does not in time.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..TRIES_MAX {
            if holds() {
                return;
            }
            self.runtime.block_on(async { tokio::time::sleep(PAUSE).await });
        }
        panic!("not in time: {what}");
    }

    /// Two customers and two products with stock, as an operator puts them.
    pub(crate) fn fill(&self) {
        let customers = self.call_with(&["import", "customers", "-", "--format", "csv"], CUSTOMERS);
        assert_eq!(
            customers.with(0),
            "customers: 2 created, 0 there already, 0 refused, 0 failed\n"
        );
        let products = self.call_with(&["import", "products", "-", "--format", "csv"], PRODUCTS);
        assert_eq!(products.with(0), "products: 2 created, 0 there already, 0 refused, 0 failed\n");
    }
}

pub(crate) const CUSTOMERS: &str = "\
id,firstName,lastName,email,address,level,creditLimit,currency
c-1,Ada,Lovelace,ada@example.com,\"12, St James's Square\nLondon\",GOLD,1500.00,GBP
c-2,Alan,Turing,alan@example.com,1 Street,BRONZE,250.50,GBP
";
pub(crate) const PRODUCTS: &str = "\
id,name,price,currency,stock
jumper,\"Jumper, \"\"woollen\"\"\",12.99,GBP,10
mug,Mug,8.50,GBP,20
";
pub(crate) const ORDERS: &str = "\
id,customerId,currency,productId,quantity,unitPrice
o-1,c-1,GBP,jumper,2,
o-1,c-1,GBP,mug,1,8.50
o-2,c-2,GBP,mug,3,
";

/// Calls the program for the system at a URL.
pub(crate) fn orderctl(url: &str, words: &[&str], stdin: &str) -> Ended {
    let mut program = command(url, words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its stdin closes it, which is no fault.
    let _ = program.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = program.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn command(url: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderctl"));
    command.env("ORDERCTL_URL", url).args(words);
    command
}

/// The samples that come with the program.
pub(crate) fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name).display().to_string()
}

fn exchange(address: SocketAddr, method: &str, path: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {text}");
    serde_json::from_str(body).unwrap()
}
