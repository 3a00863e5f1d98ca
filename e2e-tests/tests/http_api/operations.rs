//! What an operator and a lost client see.

use std::collections::BTreeSet;

use crate::test_app::TestApp;
use bytes::Bytes;
use hyper::{Method, Request};
use serde_json::{Value, json};

#[tokio::test]
async fn a_running_system_is_alive_and_ready() {
    let app = TestApp::start_alone().await;

    assert_eq!(app.get("/healthz").await.expect(200), json!({"status": "alive"}));
    let mut ready = app.get("/readyz").await.expect(200);
    let information = ready.as_object_mut().unwrap().remove("information");
    assert_eq!(ready, json!({"status": "ready"}));
    assert!(information.unwrap()[0].as_str().unwrap().starts_with("read model: "));
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[tokio::test]
async fn answers_are_counted() {
    let app = TestApp::start_alone().await;
    app.get("/v1/orders/o-1").await.problem(404);
    app.get("/v1/orders/o-2").await.problem(404);

    let metrics = app.get("/metrics").await;

    assert_eq!(metrics.header("content-type"), Some(OPEN_METRICS));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = "http_requests_total{route=\"/v1/orders/{id}\",method=\"GET\",status=\"404\"} 2\n";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn records_are_counted_by_service_and_topic() {
    let app = TestApp::start_alone().await;
    app.stock("jumper", "10.00", 5).await;
    app.credit("ada", "100.00").await;
    app.settle("o-1", "ada", "jumper", 1).await;

    let text = String::from_utf8(app.get("/metrics").await.body.to_vec()).unwrap();

    for (kind, service, topic, count) in [
        ("written", "orders-service", "order-requests", 1),
        ("read", "orders-service", "order-requests", 1),
        ("written", "orders-service", "orders", 3),
        ("read", "inventory-service", "order-lines", 1),
        ("read", "orders-service", "order-validations", 2),
        ("written", "payments-service", "payments", 1),
    ] {
        let labels = format!("service=\"{service}\",topic=\"{topic}\"");
        let line = format!("streams_records_{kind}_total{{{labels}}} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn what_becomes_of_orders_and_how_far_the_services_are_is_measured() {
    let app = TestApp::start_alone().await;
    app.stock("jumper", "10.00", 1).await;
    app.credit("ada", "100.00").await;
    assert_eq!(app.settle("o-1", "ada", "jumper", 1).await["state"], "PAID");
    assert_eq!(app.settle("o-2", "ada", "jumper", 1).await["state"], "FAILED");

    let text = String::from_utf8(app.get("/metrics").await.body.to_vec()).unwrap();

    for line in [
        "orders_settled_total{state=\"PAID\",reason=\"\"} 1",
        "orders_settled_total{state=\"FAILED\",reason=\"INSUFFICIENT_STOCK\"} 1",
        "orders_time_to_state_seconds_count{state=\"VALIDATED\"} 1",
        "orders_time_to_state_seconds_bucket{le=\"300.0\",state=\"PAID\"} 1",
        "http_request_duration_seconds_count{route=\"/v1/orders/{id}\"}",
        "streams_commits_total{service=\"payments-service\",outcome=\"committed\"}",
        "streams_commit_duration_seconds_count{service=\"orders-service\"}",
        "streams_batch_records_sum{service=\"fraud-service\"}",
        "streams_records_written_total{service=\"orders-service\",topic=\"dead-letters\"} 0",
        "streams_task_restore_left_records{service=\"inventory-service\",partition=\"0\"} 0",
        "streams_tasks_assigned{service=\"orders-service\"}",
        "streams_tasks_running{service=\"orders-service\"}",
        "data_directory_bytes ",
    ] {
        assert!(text.contains(&format!("\n{line}")), "{line} in {text}");
    }
    let lag = text.lines().filter(|line| line.starts_with("streams_task_lag_records{"));
    let (lag, are_read): (Vec<_>, Vec<_>) = lag.map(|line| (line, line.ends_with("} 0"))).unzip();
    assert!(!lag.is_empty() && are_read.into_iter().all(|is_read| is_read), "{lag:#?}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

/// The metrics that an expression of Prometheus reads: names that are no function's, no label's and
/// no word of the language.
fn metrics_of(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = expression;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while let Some(begin) = rest.find(|letter| is_name(letter) || "{[".contains(letter)) {
        rest = &rest[begin..];
        let closed_by = |bracket| rest.find(bracket).map_or(rest.len(), |end| end + 1);
        let end = match rest.as_bytes()[0] {
            b'{' => closed_by('}'),
            b'[' => closed_by(']'),
            _ if rest.starts_with("by (") => closed_by(')'),
            _ => rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        let is_number = word.starts_with(|letter: char| letter.is_ascii_digit());
        if word.chars().all(is_name) && !is_number && !after.trim_start().starts_with(['(']) {
            let is_aggregation = after.trim_start().starts_with("by (");
            names.extend((!is_aggregation).then(|| word.to_owned()));
        }
        rest = after;
    }
    names
}

#[test]
fn metrics_are_told_from_functions_labels_and_numbers() {
    let quantile = "histogram_quantile(0.5, sum by (le, a) (rate(b_bucket{c=\"d\"}[1m])))";
    assert_eq!(metrics_of(quantile), ["b_bucket"]);
    assert_eq!(metrics_of("sum(a) - sum by (b) (c_total) > 0"), ["a", "c_total"]);
}

#[tokio::test]
async fn every_metric_that_the_dashboard_shows_is_there() {
    let dashboard = include_str!("../../../observability/grafana/dashboards/order-management.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let app = TestApp::start_alone().await;
    app.stock("jumper", "10.00", 1).await;
    app.credit("ada", "100.00").await;
    app.settle("o-1", "ada", "jumper", 1).await;

    let text = String::from_utf8(app.get("/metrics").await.body.to_vec()).unwrap();

    let given: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    assert!(expressions.len() > 15, "{expressions:?}");
    for expression in expressions {
        let names = metrics_of(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(given.contains(&*name), "{name} of {expression} in {given:#?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_path_and_an_unknown_method_are_problems() {
    let app = TestApp::start_alone().await;

    for path in ["/page", "/v1", "/v1/order", "/v1/orders/o-1/", "/v1/orders/o-1/history/x"] {
        assert_eq!(app.get(path).await.problem(404), "NOT_FOUND", "{path}");
    }
    let request = |method, path| {
        app.send(Request::builder().method(method).uri(path).body(Bytes::new()).unwrap())
    };
    let delete = request(Method::DELETE, "/v1/products/jumper").await;
    assert_eq!(delete.problem(405), "METHOD_NOT_ALLOWED");
    assert_eq!(delete.header("allow"), Some("GET,HEAD,PUT"));
    let options = request(Method::OPTIONS, "/v1/orders/o-1/cancel").await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, Some("POST")));
    let head = request(Method::HEAD, "/v1/products/jumper").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
}
