//! Servers that are not there, are others, or cannot answer now; and files that are no such files.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use crate::app::{App, CUSTOMERS, Ended, orderctl};

/// A server that gives each request the next of these answers, status and body, and then ends.
fn server(answers: Vec<(u16, &'static str)>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            sender.send(request(&mut stream)).unwrap();
            let head = format!(
                "HTTP/1.1 {status} Whatever\r\nretry-after: 0\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    (url, requests)
}

/// A whole request: its first line and its body.
fn request(stream: &mut impl Read) -> String {
    let mut text = String::new();
    loop {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        text.push_str(std::str::from_utf8(&part[..length]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
        let length =
            head.lines().find(is_length).map_or(0, |line| line[15..].trim().parse().unwrap());
        if body.len() == length {
            return format!("{} {body}", head.lines().next().unwrap());
        }
    }
}

fn import(url: &str, more: &[&str]) -> Ended {
    let words = [&["import", "orders", "-", "--format", "jsonl"], more].concat();
    orderctl(url, &words, r#"{"id": "o-1", "customerId": "c"}"#)
}

#[test]
fn a_server_that_has_too_much_to_do_is_asked_again_under_the_same_id() {
    let problem = r#"{"code": "OVERLOADED", "detail": "too many requests are under way"}"#;
    let (url, requests) = server(vec![(200, "{}"), (503, problem), (503, problem), (201, "{}")]);

    let ended = import(&url, &[]);

    assert_eq!(ended.with(0), "orders: 1 created, 0 there already, 0 refused, 0 failed\n");
    let requests: Vec<String> = requests.iter().collect();
    assert_eq!(requests[0], "GET /v1/orders?limit=1 HTTP/1.1 ");
    assert_eq!(requests.len(), 4);
    for request in &requests[1..] {
        assert_eq!(request, r#"POST /v1/orders HTTP/1.1 {"customerId":"c","id":"o-1"}"#);
    }
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    // The second answer is none: the connection ends in the middle of it.
    let (url, requests) = server(vec![(200, "{}"), (99, ""), (200, "{}")]);

    let ended = import(&url, &[]);

    assert_eq!(ended.with(0), "orders: 0 created, 1 there already, 0 refused, 0 failed\n");
    let requests: Vec<String> = requests.iter().collect();
    assert_eq!(requests[1], requests[2]);
}

#[test]
fn an_import_ends_where_nothing_is_answered_for_too_long() {
    let problem = r#"{"code": "UNAVAILABLE", "detail": "the service cannot answer for now"}"#;
    let (url, _requests) = server(vec![(200, "{}"), (503, problem)]);

    let ended = import(&url, &["--retry-s", "0"]);

    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(ended.stdout, "orders: 0 created, 0 there already, 0 refused, 1 failed\n");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "line 1, o-1: UNAVAILABLE: the service cannot answer for now");
    assert!(lines[1].starts_with("error: the import has ended before the file: line 1: "));
}

#[test]
fn a_fault_of_the_server_is_told_and_the_rest_goes_on() {
    let (url, _requests) = server(vec![(200, "{}"), (500, "oops"), (201, "{}")]);
    let words = ["import", "customers", "-", "--format", "csv", "--parallel", "1"];

    let ended = orderctl(&url, &words, CUSTOMERS);

    assert!(ended.stderr.starts_with("line 2, c-1: UNKNOWN_ANSWER: status 500 "), "{ended:?}");
    assert_eq!(ended.with(1), "customers: 1 created, 0 there already, 0 refused, 1 failed\n");
}

#[test]
fn a_service_of_its_own_has_a_url_of_its_own() {
    let app = App::start();
    let (closed, url) = ("http://127.0.0.1:9", app.url());
    let words = ["import", "customers", "-", "--format", "csv"];

    let elsewhere = [words.as_slice(), &["--payments-url", &url]].concat();
    let there = orderctl(closed, &elsewhere, CUSTOMERS);
    assert_eq!(there.with(0), "customers: 2 created, 0 there already, 0 refused, 0 failed\n");

    let nobody = orderctl(closed, &words, CUSTOMERS);
    assert_eq!(
        nobody.error(),
        "http://127.0.0.1:9 cannot be reached: Connection refused (os error 111)"
    );
    app.stop();
}

#[test]
fn one_clear_line_says_why_nothing_was_done() {
    let closed = "http://127.0.0.1:9";
    let refused = "http://127.0.0.1:9 cannot be reached: Connection refused (os error 111)";
    for words in [
        ["export", "orders"].as_slice(),
        &["dead-letters", "list"],
        &["dead-letters", "requeue", "0:0"],
        &["dead-letters", "requeue", "--all"],
    ] {
        assert_eq!(orderctl(closed, words, "").error(), refused, "{words:?}");
    }
    let nowhere = orderctl(closed, &["import", "orders", "/nowhere.csv"], "");
    assert_eq!(nowhere.error(), "cannot read /nowhere.csv: No such file or directory (os error 2)");
    let unnamed = orderctl(closed, &["import", "orders", "-"], "");
    assert_eq!(unnamed.error(), "- may be CSV or JSON lines: --format says which");
    let words = ["import", "customers", "-", "--format", "csv"];
    let column = orderctl(closed, &words, "id,name\n");
    let columns = "id, firstName, lastName, email, address, level, creditLimit, currency";
    let unknown = format!("-: unknown column `name`: the columns of customers are {columns}");
    assert_eq!(column.error(), unknown);
    let url = orderctl("shop:8080", &["export", "orders"], "");
    assert_eq!(url.error(), "`shop:8080` is not of the form http://host:port");
    let problem = r#"{"code": "NOT_FOUND", "detail": "there is nothing at this path"}"#;
    let (other, _requests) = server(vec![(404, problem)]);
    let elsewhere = orderctl(&other, &["export", "products"], "");
    assert_eq!(
        elsewhere.error(),
        format!("{other} has no /v1/products: --inventory-url says where it is")
    );
}

#[test]
fn a_topology_is_printed_without_any_server() {
    let of_one = orderctl("http://127.0.0.1:9", &["topology", "fraud"], "").with(0);
    let expected = fraud_service::topology().unwrap().describe();
    assert_eq!(of_one, expected);

    let of_all = orderctl("http://127.0.0.1:9", &["topology"], "").with(0);
    assert_eq!(of_all.matches("Topology: ").count(), 4);
    let drawn = orderctl("http://127.0.0.1:9", &["topology", "--format", "mermaid"], "").with(0);
    assert!(drawn.starts_with("flowchart TB\n"), "{drawn}");
}
