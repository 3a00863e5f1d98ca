//! Chromium without a window, told what to do through chromedriver (W3C WebDriver).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use e2e_tests::http_client::{Client, Target};
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::not_run;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const REQUIRED: &str = "REQUIRE_BROWSER";
const DRIVER: &str = "chromedriver";
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// How long the browser may take for anything, and how often it is asked whether it is done.
const TIME_MAX: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// What a browser is started with: nothing of its own goes to the network, and all it writes is in
/// a profile of its own.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--no-first-run",
];

/// A browser with one window.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    session: String,
    /// The driver, which leads a group of processes with the browser's in it.
    _driver: Group,
    _profile: TempDir,
}

impl Browser {
    /// Starts one with a window of this size; `None` where none is installed, which is said.
    ///
    /// # Panics
    /// Where it is installed and does not start, or has to be installed and is not.
    pub(crate) async fn start(width: u32, height: u32) -> Option<Self> {
        let (Some(browser), Some(driver)) = (BROWSERS.into_iter().find_map(find), find(DRIVER))
        else {
            let why = format!("it or {DRIVER} is not installed");
            not_run(REQUIRED, "Chromium", &why);
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let (driver, url) = start_driver(&driver).await;
        let target = Target::resolve(&url).await.unwrap();
        let mut browser = Browser {
            client: Client::new(target, TIME_MAX),
            session: String::new(),
            _driver: driver,
            _profile: profile,
        }
        .with_session(&browser)
        .await;
        // A window has a least width; what the page sees as the screen's has none.
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 500});
        browser.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
        Some(browser)
    }

    async fn with_session(mut self, browser: &Path) -> Self {
        let profile = format!("--user-data-dir={}", self._profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = self.send(Method::POST, "/session", Some(&wanted)).await;
        self.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        self
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (path, body) = (path.to_owned(), body.map_or_else(String::new, Value::to_string));
        let answer = self.client.send(method, path.clone().into(), body.into()).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {} {}", value["error"], value["message"]);
        value
    }

    async fn post(&mut self, command: &str, body: &Value) -> Value {
        let path = format!("{}/{command}", self.session);
        self.send(Method::POST, &path, Some(body)).await
    }

    async fn devtools(&mut self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) async fn open(&mut self, url: &str) {
        self.post("url", &json!({"url": url})).await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until an expression in the page has this value.
    ///
    /// # Panics
    /// Where it does not come to it.
    pub(crate) async fn until(&mut self, expression: &str, expected: impl Into<Value>) {
        let (expected, end) = (expected.into(), Instant::now() + TIME_MAX);
        loop {
            let value = self.value(expression).await;
            if value == expected {
                return;
            }
            assert!(Instant::now() < end, "{expression} is {value}, not {expected}");
            sleep(PAUSE).await;
        }
    }

    async fn element(&mut self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &wanted).await;
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        id.unwrap_or_else(|| panic!("no element {selector}: {found}")).to_owned()
    }

    /// Clicks an element where a user can: it is scrolled to, and nothing may be in front of it.
    pub(crate) async fn click(&mut self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Empties a field and types into it.
    pub(crate) async fn type_into(&mut self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/clear"), &json!({})).await;
        self.post(&format!("element/{element}/value"), &json!({"text": text})).await;
    }

    /// What the page was told of errors and warnings since the last call.
    pub(crate) async fn complaints(&mut self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "browser"})).await;
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| format!("{} {}", entry["level"], entry["message"])).collect()
    }

    /// Where the page sent requests since the last call.
    pub(crate) async fn requests(&mut self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "performance"})).await;
        let events = entries.as_array().unwrap().iter().map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            event["message"].clone()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Closes the window.
    pub(crate) async fn close(mut self) {
        let session = self.session.clone();
        self.send(Method::DELETE, &session, None).await;
    }
}

/// A group of processes, which ends with this value.
#[derive(Debug)]
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(leader) = leader {
            // Those that have ended already need no end.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Starts the driver on a free port; gives its address.
async fn start_driver(program: &Path) -> (Group, String) {
    let mut command = Command::new(program);
    command.arg("--port=0").stdout(Stdio::piped()).process_group(0);
    let mut driver = Group(command.spawn().unwrap());
    let mut said = BufReader::new(driver.0.stdout.take().unwrap()).lines();
    let started = "ChromeDriver was started successfully on port ";
    let port = async {
        while let Some(line) = said.next_line().await.unwrap() {
            if let Some(port) = line.strip_prefix(started) {
                return port.trim_end_matches('.').to_owned();
            }
        }
        panic!("{} has ended", program.display());
    };
    let port = tokio::time::timeout(TIME_MAX, port).await.unwrap();
    (driver, format!("http://127.0.0.1:{port}"))
}

/// Where a program is that can be started by its name.
fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).map(|place| place.join(program.as_ref()));
    places.into_iter().find(|place| place.is_file())
}
