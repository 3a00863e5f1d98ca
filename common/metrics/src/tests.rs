use super::*;

/// All that is counted, as text.
fn text(metrics: &Metrics) -> String {
    render(metrics.samples())
}

#[test]
fn answers_are_counted_by_route_method_and_status() {
    let metrics = Metrics::default();
    let took = Duration::from_millis(1);
    metrics.count("/v1/orders", "POST", 201, took);
    metrics.count("/v1/orders", "POST", 201, took);
    metrics.count("/v1/orders", "PATCH", 418, took);

    let text = text(&metrics);

    let line = |method: &str, status: u16, count: u64| {
        format!(
            "http_requests_total{{route=\"/v1/orders\",method=\"{method}\",\
             status=\"{status}\"}} {count}\n"
        )
    };
    assert!(text.contains(&(line("POST", 201, 2) + &line("OTHER", 0, 1))), "{text}");
    assert!(text.contains("# TYPE uptime_seconds gauge\nuptime_seconds 0\n"), "{text}");
}

#[test]
fn the_time_of_answers_is_counted_by_route() {
    let metrics = Metrics::default();
    for milliseconds in [2, 2, 750] {
        let took = Duration::from_millis(milliseconds);
        metrics.count("/v1/orders", "GET", 200, took);
    }

    let text = text(&metrics);

    for line in [
        "# TYPE http_request_duration_seconds histogram\n",
        "http_request_duration_seconds_sum{route=\"/v1/orders\"} 0.754\n",
        "http_request_duration_seconds_count{route=\"/v1/orders\"} 3\n",
        "http_request_duration_seconds_bucket{le=\"0.001\",route=\"/v1/orders\"} 0\n",
        "http_request_duration_seconds_bucket{le=\"0.5\",route=\"/v1/orders\"} 2\n",
        "http_request_duration_seconds_bucket{le=\"+Inf\",route=\"/v1/orders\"} 3\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn numbers_of_one_name_stand_together_under_one_head() {
    let part = |meadow: &'static str, sheep| {
        let sheep = Sample::new("sheep_total", "Sheep seen.", Value::Counter(sheep));
        let dogs = Sample::new("dogs", "Dogs.", Value::gauge(u64::MAX));
        [sheep.with("meadow", meadow).with("kind", "\"black\""), dogs.with("meadow", meadow)]
    };

    let text = render([part("a", 1), part("b", 2)].concat());

    let expected = "# HELP dogs Dogs.\n# TYPE dogs gauge\n\
        dogs{meadow=\"a\"} 9223372036854775807\ndogs{meadow=\"b\"} 9223372036854775807\n\
        # HELP sheep Sheep seen.\n# TYPE sheep counter\n\
        sheep_total{meadow=\"a\",kind=\"\\\"black\\\"\"} 1\n\
        sheep_total{meadow=\"b\",kind=\"\\\"black\\\"\"} 2\n\
        # EOF\n";
    assert_eq!(text, expected);
}
