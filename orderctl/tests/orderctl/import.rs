//! Files to what the system has then.

use serde_json::{Value, json};

use crate::app::{App, CUSTOMERS, ORDERS, PRODUCTS, sample};

#[test]
fn what_is_imported_is_there_and_the_same_file_again_changes_nothing() {
    let app = App::start();
    let things = [("customers", CUSTOMERS, 2), ("products", PRODUCTS, 2), ("orders", ORDERS, 2)];
    for (kind, text, count) in things {
        let file = app.file(&format!("{kind}.csv"), text);

        let first = app.call(&["import", kind, &file]).with(0);

        assert_eq!(
            first,
            format!("{kind}: {count} created, 0 there already, 0 refused, 0 failed\n")
        );
    }
    let order = app.get("/v1/orders/o-1?until=SETTLED");
    assert_eq!((&order["state"], &order["total"]), (&json!("PAID"), &json!("34.48")));
    assert_eq!(app.get("/v1/customers/c-1")["address"], "12, St James's Square\nLondon");
    assert_eq!(app.get("/v1/customers/c-2/account")["limit"], "250.50");
    assert_eq!(app.get("/v1/products/jumper")["name"], "Jumper, \"woollen\"");
    app.get("/v1/orders/o-2?until=SETTLED");
    app.post("/v1/orders/o-1/ship");
    let all = || {
        let paths = ["customers", "customers/c-1/account", "products", "products/jumper/stock"];
        let mut all = paths.map(|path| app.get(&format!("/v1/{path}"))).to_vec();
        all.push(app.get("/v1/orders/o-1"));
        all.push(app.get("/v1/orders/o-2"));
        all
    };
    app.until("shipped", || app.get("/v1/products/jumper/stock")["onHand"] == 8);
    app.until("paid for", || app.get("/v1/customers/c-1/account")["captured"] == "34.48");
    let before = all();

    for (kind, _, count) in things {
        let file = app.directory.path().join(format!("{kind}.csv")).display().to_string();
        let again = app.call(&["import", kind, &file]).with(0);
        assert_eq!(
            again,
            format!("{kind}: 0 created, {count} there already, 0 refused, 0 failed\n")
        );
    }

    assert_eq!(all(), before);
    app.stop();
}

#[test]
fn stock_is_taken_in_once_even_where_all_of_it_was_sold() {
    let app = App::start();
    app.fill();
    let orders = "id,customerId,currency,productId,quantity\no-1,c-1,GBP,jumper,10\n";
    app.call_with(&["import", "orders", "-", "--format", "csv"], orders).with(0);
    app.get("/v1/orders/o-1?until=PAID");
    app.post("/v1/orders/o-1/ship");
    app.until("sold out", || app.get("/v1/products/jumper/stock")["onHand"] == 0);

    app.call_with(&["import", "products", "-", "--format", "csv"], PRODUCTS).with(0);
    assert_eq!(app.get("/v1/products/jumper/stock")["onHand"], 0);

    let other = "id,name,price,currency,stock\njumper,Jumper,12.99,GBP,11\n";
    let refused = app.call_with(&["import", "products", "-", "--format", "csv"], other);
    assert!(refused.stderr.contains("line 2, jumper: ADJUSTMENT_ID_TAKEN"), "{refused:?}");
    assert_eq!(refused.code, 1);
    app.stop();
}

#[test]
fn each_refusal_is_told_with_its_line_and_why_and_the_rest_goes_on() {
    let app = App::start();
    app.fill();
    let order = |id: &str, customer: &str, quantity: u32| {
        let lines = json!([{"productId": "mug", "quantity": quantity}]);
        json!({"id": id, "customerId": customer, "currency": "GBP", "lines": lines})
    };
    let mut of_no_id = order("", "c-1", 1);
    of_no_id.as_object_mut().unwrap().remove("id");
    let mut with_note = order("o-4", "c-1", 1);
    with_note["note"] = json!("x");
    let lines = [
        order("o-1", "c-1", 1).to_string(),
        order("o-2", "c-1", 0).to_string(),
        r#"{"id": "o-3", "customerId": "#.to_owned(),
        String::new(),
        of_no_id.to_string(),
        order("o-1", "c-2", 1).to_string(),
        with_note.to_string(),
        order("o-5", "c-1", 2).to_string(),
    ];
    let file = app.file("orders.jsonl", &lines.join("\n"));
    let report = app.directory.path().join("report.jsonl").display().to_string();

    let ended = app.call(&["import", "orders", &file, "--report", &report]);

    assert_eq!(ended.stderr, "");
    assert_eq!(ended.with(1), "orders: 2 created, 0 there already, 5 refused, 0 failed\n");
    let report = std::fs::read_to_string(report).unwrap();
    let mut told: Vec<Value> =
        report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    told.sort_by_key(|refusal| refusal["line"].as_u64());
    let places: Vec<_> = told.iter().map(|refusal| (&refusal["line"], &refusal["id"])).collect();
    let (id, none) = (|id: &str| json!(id), json!(""));
    let numbers = [2, 3, 5, 6, 7].map(|line| json!(line));
    let ids = [id("o-2"), none.clone(), none, id("o-1"), id("o-4")];
    assert_eq!(places, numbers.iter().zip(&ids).collect::<Vec<_>>());
    let codes: Vec<&str> = told.iter().map(|refusal| refusal["code"].as_str().unwrap()).collect();
    let malformed = "MALFORMED_ROW";
    assert_eq!(codes[..3], ["INVALID_REQUEST", malformed, malformed]);
    assert!(codes[3].contains("ID_TAKEN") || codes[3].contains("CONFLICT"), "{}", codes[3]);
    assert_eq!(told[0]["errors"][0]["field"], "/lines/0/quantity");
    assert_eq!(told[2]["detail"], "it has no `id`");
    assert_eq!(told[4]["errors"][0]["field"], "/note");
    app.get("/v1/orders/o-5");
    app.stop();
}

#[test]
fn refusals_are_told_to_people_where_no_file_is_named() {
    let app = App::start();
    let text = CUSTOMERS.replace("ada@example.com", "nobody").replace("250.50", "1.234");

    let ended = app.call_with(&["import", "customers", "-", "--format", "csv"], &text);

    let mut lines: Vec<&str> = ended.stderr.lines().collect();
    lines.sort_unstable();
    assert!(lines[0].starts_with("line 2, c-1: INVALID_REQUEST: /email: "), "{ended:?}");
    assert!(lines[1].starts_with("line 4, c-2: INVALID_REQUEST: /creditLimit/amount: "));
    assert_eq!(ended.with(1), "customers: 0 created, 0 there already, 2 refused, 0 failed\n");
    app.stop();
}

#[test]
fn of_rows_with_the_same_id_the_last_one_holds() {
    let app = App::start();
    let row = |number| format!("p,Name {number},1.00,GBP\n");
    let rows: String = (0..200).map(row).collect();

    let text = format!("id,name,price,currency\n{rows}");
    app.call_with(&["import", "products", "-", "--format", "csv"], &text).with(0);

    assert_eq!(app.get("/v1/products/p")["name"], "Name 199");
    app.stop();
}

#[test]
fn the_samples_are_taken_but_for_the_order_of_nothing() {
    let app = App::start();
    for name in ["customers", "products", "orders"] {
        app.call(&["import", name, &sample(&format!("{name}.csv"))]).with(0);
    }
    for order in ["sample-1", "sample-2"] {
        let settled = app.get(&format!("/v1/orders/{order}?until=SETTLED"));
        assert_eq!(settled["state"], "PAID", "{settled}");
    }

    let ended = app.call(&["import", "orders", &sample("orders.jsonl")]);

    assert!(ended.stderr.starts_with("line 2, sample-4: INVALID_REQUEST: "), "{ended:?}");
    assert_eq!(ended.with(1), "orders: 1 created, 0 there already, 1 refused, 0 failed\n");
    app.stop();
}
