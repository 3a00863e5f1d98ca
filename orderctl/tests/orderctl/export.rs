//! What export writes, import takes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::app::{App, ORDERS, command};

const KINDS: [&str; 3] = ["customers", "products", "orders"];

/// What an export says that is not of its own time.
fn things(text: &str) -> Vec<Value> {
    let mut things: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for thing in &mut things {
        for name in ["placedAt", "updatedAt"] {
            thing.as_object_mut().unwrap().remove(name);
        }
    }
    things.sort_by_key(|thing| thing["id"].to_string());
    things
}

fn shop() -> App {
    let app = App::start();
    app.fill();
    app.call_with(&["import", "orders", "-", "--format", "csv"], ORDERS).with(0);
    settle(&app);
    app
}

/// Waits until both orders are paid, and lists show it.
fn settle(app: &App) {
    for id in ["o-1", "o-2"] {
        assert_eq!(app.get(&format!("/v1/orders/{id}?until=SETTLED"))["state"], "PAID");
    }
    let paid = || app.get("/v1/orders?state=PAID")["orders"].as_array().unwrap().len();
    app.until("both are on the list", || paid() == 2);
}

#[test]
fn what_is_exported_from_one_system_is_the_same_in_another() {
    let from = shop();
    for format in ["csv", "jsonl"] {
        let to = App::start();
        for kind in KINDS {
            let text = from.call(&["export", kind, "--format", format]).with(0);
            assert!(!text.is_empty());
            let ended = to.call_with(&["import", kind, "-", "--format", format], &text);
            assert_eq!(ended.stderr, "", "{text}");
            let expected = format!("{kind}: 2 created, 0 there already, 0 refused, 0 failed\n");
            assert_eq!(ended.with(0), expected);
        }
        settle(&to);
        for kind in KINDS {
            let [left, right] = [&from, &to].map(|app| app.call(&["export", kind]).with(0));
            assert_eq!(things(&left), things(&right));
        }
        to.stop();
    }
    from.stop();
}

#[test]
fn what_is_exported_is_there_already_where_it_came_from() {
    let app = shop();
    // There is less than was taken in.
    app.post("/v1/orders/o-1/ship");
    app.until("shipped", || app.get("/v1/products/jumper/stock")["onHand"] == 8);
    for kind in KINDS {
        for format in ["csv", "jsonl"] {
            let text = app.call(&["export", kind, "--format", format]).with(0);
            let ended = app.call_with(&["import", kind, "-", "--format", format], &text);
            let expected = format!("{kind}: 0 created, 2 there already, 0 refused, 0 failed\n");
            assert_eq!(ended.with(0), expected);
            assert_eq!(app.call(&["export", kind, "--format", format]).with(0), text);
        }
    }
    app.stop();
}

#[test]
fn a_list_of_many_pages_is_exported_whole() {
    let app = App::start();
    let row = |number| format!("p-{number:04},Product {number},1.00,GBP\n");
    let rows: String = (0..450).map(row).collect();
    let text = format!("id,name,price,currency\n{rows}");
    let words = ["import", "products", "-", "--format", "csv", "--parallel", "64"];
    app.call_with(&words, &text).with(0);

    let exported = app.call(&["export", "products", "--format", "csv"]).with(0);

    let ids: Vec<&str> =
        exported.lines().skip(1).filter_map(|line| Some(line.split_once(',')?.0)).collect();
    let expected: Vec<String> = (0..450).map(|number| format!("p-{number:04}")).collect();
    assert_eq!(ids, expected);
    end_early(&app);
    app.stop();
}

/// Reads one line of an export, and no more: that is no fault.
fn end_early(app: &App) {
    for format in ["csv", "jsonl"] {
        let mut export = command(&app.url(), &["export", "products", "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, export.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = export.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(0));
    }
}
