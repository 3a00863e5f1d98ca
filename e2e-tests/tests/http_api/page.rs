//! The page for people, as it is served.

use bytes::Bytes;
use hyper::Request;

use crate::test_app::TestApp;

#[tokio::test]
async fn a_browser_may_run_what_comes_from_here_and_nothing_else() {
    let app = TestApp::start_alone().await;

    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let answer = app.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, Some(content_type))
        );
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(app.get("/page/none.js").await.problem(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_browser_that_has_a_file_asks_again_and_gets_it_only_where_it_has_changed() {
    let app = TestApp::start_alone().await;
    let first = app.get("/page/main.js").await;
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let tag = first.header("etag").unwrap();
    let ask = |known: &str| {
        let request = Request::get("/page/main.js").header("if-none-match", known);
        app.send(request.body(Bytes::new()).unwrap())
    };

    let again = ask(tag).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag));
    let changed = ask("\"another\"").await;
    assert_eq!((changed.status.as_u16(), &changed.body), (200, &first.body));
}
