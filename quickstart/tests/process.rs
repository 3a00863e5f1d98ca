//! The program as a user runs it: what it says, how it ends, and what it keeps.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

fn command(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.env("DATA_DIR", data_dir).env("LISTEN", "127.0.0.1:0").args(arguments);
    command.env_remove("NO_SAMPLE").env_remove("PARTITIONS").env("RUST_LOG", "error");
    command
}

/// The running program, and the commands that it told the user to try.
struct Program {
    child: Child,
    commands: Vec<String>,
}

impl Program {
    fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut child = command(data_dir, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let commands: Vec<String> = said
            .map(|line| line.unwrap())
            .filter_map(|line| line.strip_prefix("  ").map(str::to_owned))
            .take(3)
            .collect();
        assert_eq!(commands.len(), 3, "{commands:?}");
        Program { child, commands }
    }

    /// Does what `curl` does for each of the commands; gives status and body of each answer.
    fn follow_commands(&self) -> Vec<(u16, String)> {
        self.commands.iter().map(|command| curl(command)).collect()
    }

    fn get(&self, path: &str) -> (u16, String) {
        let url = words(&self.commands[0])[1].clone();
        let (server, _) = url.split_once("/v1/").unwrap();
        curl(&format!("curl '{server}{path}'"))
    }

    fn signal(mut self, signal: &str) -> ExitStatus {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already where the test has come to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of a command as a shell sees them: what stands in quotes is one.
fn words(command: &str) -> Vec<String> {
    let quoted = |(number, part): (usize, &str)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    };
    command.split('\'').enumerate().flat_map(quoted).collect()
}

fn curl(command: &str) -> (u16, String) {
    let words = words(command);
    let option = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).map(String::as_str)
    };
    assert_eq!(words[0], "curl");
    let (address, path) = words[1].strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = option("-d").unwrap_or_default();
    let method = option("-X").unwrap_or(if body.is_empty() { "GET" } else { "POST" });
    let header = option("-H").unwrap_or("Accept: */*");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs the program where it cannot start; gives what it says about that.
fn refusal(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    let [line] = lines[..] else { panic!("more than one line: {said}") };
    line.strip_prefix("error: ").unwrap().to_owned()
}

#[test]
fn the_commands_it_tells_work_and_work_again() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);

    let first = program.follow_commands();
    let again = program.follow_commands();

    assert_eq!(first.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [201, 200, 200]);
    assert!(first[1].1.contains(r#""state":"PAID""#), "{}", first[1].1);
    assert!(first[2].1.contains(r#""onHand":80,"reserved":2"#), "{}", first[2].1);
    assert_eq!(again.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(again[2], first[2]);
}

#[test]
fn without_a_sample_it_tells_commands_that_work_too() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--no-sample"]);

    assert_eq!(program.get("/v1/customers").1, r#"{"customers":[]}"#);
    for (round, statuses) in [(1, [201, 201, 200]), (2, [200, 200, 200])] {
        let answers = program.follow_commands();
        let answered: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(answered, statuses, "round {round}");
        assert!(answers[2].1.contains(r#""onHand":100"#), "{}", answers[2].1);
    }
}

#[test]
fn a_signal_ends_it_cleanly_and_a_restart_keeps_everything() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let answers = program.follow_commands();
    assert_eq!(program.signal("TERM").code(), Some(0));

    let program = Program::start(directory.path(), &[]);
    let (status, order) = program.get("/v1/orders/first-order");
    assert_eq!((status, &order), (200, &answers[1].1));
    assert_eq!(program.follow_commands()[2], answers[2]);
    assert_eq!(program.signal("INT").code(), Some(0));
}

#[test]
fn a_crash_loses_nothing_that_was_answered() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let answers = program.follow_commands();
    assert_eq!(program.signal("KILL").code(), None);

    let program = Program::start(directory.path(), &[]);
    assert_eq!(program.get("/v1/orders/first-order").1, answers[1].1);
}

#[test]
fn a_sample_that_was_cut_off_is_completed_and_nothing_is_there_twice() {
    let directory = directory();
    let note = |name: &str| directory.path().join(name);
    let program = Program::start(directory.path(), &[]);
    let customers = program.get("/v1/customers").1;
    assert_eq!(program.signal("KILL").code(), None);
    // As it is after a crash just before the end of loading.
    fs::rename(note("sample-loaded"), note("sample-loading")).unwrap();

    let program = Program::start(directory.path(), &[]);

    assert!(note("sample-loaded").exists() && !note("sample-loading").exists());
    assert!(program.get("/v1/products/jumper/stock").1.contains(r#""onHand":100"#));
    assert_eq!(program.get("/v1/customers").1, customers);
}

#[test]
fn a_sample_that_was_cut_off_is_not_completed_where_it_is_not_wanted() {
    let directory = directory();
    // As it is after a crash before anything was loaded.
    fs::write(directory.path().join("sample-loading"), "").unwrap();

    let program = Program::start(directory.path(), &["--no-sample"]);
    assert_eq!(program.get("/v1/products").1, r#"{"products":[]}"#);
    assert_eq!(program.signal("TERM").code(), Some(0));

    let program = Program::start(directory.path(), &[]);
    assert_eq!(program.get("/v1/products").1, r#"{"products":[]}"#);
}

#[test]
fn a_sample_is_not_put_into_a_directory_in_use() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--no-sample"]);
    assert_eq!(program.signal("TERM").code(), Some(0));

    let program = Program::start(directory.path(), &[]);

    assert_eq!(program.get("/v1/products").1, r#"{"products":[]}"#);
}

#[test]
fn a_second_process_on_the_directory_is_refused_and_harms_nothing() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);

    let said = refusal(command(directory.path(), &[]));

    let path = directory.path().display();
    assert_eq!(said, format!("data directory {path} is in use by another process"));
    assert_eq!(program.follow_commands()[0].0, 201);
}

#[test]
fn an_address_in_use_is_refused_and_nothing_is_made() {
    let directory = directory();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data_dir = directory.path().join("new");

    let said = refusal(command(&data_dir, &["--listen", &address]));

    assert!(said.starts_with(&format!("cannot listen on {address}: ")), "{said}");
    assert!(!data_dir.exists());
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "no directory").unwrap();

    for path in [file.clone(), file.join("below")] {
        let said = refusal(command(&path, &[]));
        let start = format!("data directory {} cannot be used: ", path.display());
        assert!(said.starts_with(&start), "{said}");
    }
}

#[test]
fn a_corrupt_directory_is_refused() {
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    assert_eq!(program.signal("TERM").code(), Some(0));
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "redb") {
            fs::write(path, "not what was written").unwrap();
        }
    }

    let said = refusal(command(directory.path(), &[]));

    let start = format!("data directory {} is corrupt: ", directory.path().display());
    assert!(said.starts_with(&start), "{said}");
}

#[test]
fn another_number_of_partitions_is_refused() {
    let directory = directory();
    let program = Program::start(directory.path(), &["--partitions", "2"]);
    assert_eq!(program.signal("TERM").code(), Some(0));

    let said = refusal(command(directory.path(), &["--partitions", "3"]));

    let path = directory.path().display();
    assert_eq!(said, format!("data directory {path} has 2 partitions, not 3"));
}

#[test]
fn its_help_says_every_setting() {
    let output = command(directory().path(), &["--help"]).output().unwrap();

    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--listen",
        "--data-dir",
        "--partitions",
        "--no-sample",
        "--validation-timeout-s",
        "--payment-timeout-s",
    ] {
        assert!(help.contains(word), "{word} in {help}");
        let variable = word.trim_start_matches('-').replace('-', "_").to_uppercase();
        assert!(help.contains(&format!("[env: {variable}")), "{variable} in {help}");
    }
}
