//! What people do on the page.

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use crate::shop::Shop;
use crate::webdriver::Browser;

const DESKTOP: (u32, u32) = (1440, 900);
const PHONE: (u32, u32) = (390, 844);

/// A browser takes most of a small machine: one at a time.
static BROWSER: Mutex<()> = Mutex::const_new(());

/// The page, open and filled, with the system behind it.
struct Page {
    browser: Browser,
    shop: Shop,
    _turn: MutexGuard<'static, ()>,
}

const LIVE: &str = "Page 1, live";
const STATE: &str = "document.querySelector('#order-state').textContent";
const IDS: &str = "[...document.querySelectorAll('#orders tr')].map(row => row.dataset.id)";

impl Page {
    async fn open((width, height): (u32, u32)) -> Option<Self> {
        let turn = BROWSER.lock().await;
        let browser = Browser::start(width, height).await?;
        let mut page = Page { browser, shop: Shop::open().await, _turn: turn };
        // What a new window asks for by itself is not the page's.
        page.browser.open("about:blank").await;
        page.browser.requests().await;
        page.browser.open(&page.shop.url()).await;
        page.browser.until("document.querySelectorAll('#accounts tr').length", 3).await;
        page.browser.until("document.querySelectorAll('#lines select option').length", 6).await;
        page.browser.until("document.querySelector('#server').textContent", "Connected").await;
        page.browser.until("document.querySelector('#page-note').textContent", LIVE).await;
        Some(page)
    }

    /// Fills in the form with one line, and sends it.
    async fn place(&mut self, customer: &str, product: &str, quantity: &str) {
        self.browser.click(&format!("#customer option[value='{customer}']")).await;
        self.browser.click(&format!("#lines select option[value='{product}']")).await;
        self.browser.type_into("#lines input", quantity).await;
        self.browser.click("#submit").await;
    }

    async fn choose_state(&mut self, state: &str) {
        let option = format!("#filter-state option:nth-of-type({})", 1 + position(state));
        self.browser.click(&option).await;
    }

    /// The id of the order that is shown.
    async fn shown(&mut self) -> String {
        let id = self.browser.value("document.querySelector('#order-id').textContent").await;
        id.as_str().unwrap_or_default().to_owned()
    }

    /// The page is as wide as its window, and so is everything in it.
    async fn assert_fits(&mut self) {
        let room = "(() => { const { scrollWidth, clientWidth } = document.documentElement; \
            return [scrollWidth - clientWidth, [...document.querySelectorAll('body *')].filter(\
            part => !part.closest('.unseen, pre, svg') && \
            part.getBoundingClientRect().right > clientWidth).map(part => part.outerHTML)]; })()";
        assert_eq!(self.browser.value(room).await, json!([0, []]));
    }

    /// Ends it, with nothing left that the browser complained of but `complaints`, each named by a
    /// part of its text, and no request to anybody else.
    async fn close(mut self, complaints: &[&str]) {
        let found = self.browser.complaints().await;
        let is_expected = |found: &String| complaints.iter().any(|text| found.contains(text));
        assert!(found.iter().all(is_expected), "{found:#?}");
        let requests = self.browser.requests().await;
        let (url, others) = (self.shop.url(), requests.iter());
        let others: Vec<_> = others.filter(|request| !request.starts_with(&url)).collect();
        assert!(others.is_empty() && requests.len() > 10, "{requests:#?}");
        self.browser.close().await;
        self.shop.close().await;
    }
}

fn position(state: &str) -> usize {
    let states = ["", "CREATED", "VALIDATED", "PAID", "SHIPPED", "FAILED", "CANCELLED"];
    states.iter().position(|name| *name == state).unwrap_or_default()
}

fn row(table: &str, begin: &str) -> String {
    format!(
        "[...document.querySelectorAll('{table} tr')].map(row => \
         [...row.children].map(cell => cell.textContent)).find(([first]) => \
         first.startsWith('{begin}'))"
    )
}

async fn an_order_is_placed_watched_and_shipped(size: (u32, u32)) {
    let Some(mut page) = Page::open(size).await else { return };
    page.assert_fits().await;

    // When an order is placed, it is seen to go through the services
    page.place("ada", "jumper", "2").await;
    page.browser.until(STATE, "PAID").await;
    let id = page.shown().await;
    let done = "[...document.querySelectorAll('#order-steps .done')].map(step => step.textContent)";
    assert_eq!(page.browser.value(done).await, json!(["Created", "Validated", "Paid"]));
    let visited = "['inventory', 'fraud', 'payments'].every(name => \
        [...document.querySelectorAll('.service.visited .name')].some(text => \
        text.textContent === name))";
    assert_eq!(page.browser.value(visited).await, true);

    // And in the list, with those of others, as they come
    page.browser.until(IDS, json!([id])).await;
    page.shop.order("of-grace", "grace").await;
    page.browser.until("document.querySelectorAll('.service.active').length", 4).await;
    page.browser.until(IDS, json!(["of-grace", id])).await;
    page.browser.until("document.querySelectorAll('#orders .PAID').length", 2).await;

    // And in what is left
    let level = row("#stock", "Woollen jumper");
    page.browser.until(&level, json!(["Woollen jumper", "100", "2", "98"])).await;

    // When it is shipped, everything says so
    page.browser.click("#ship").await;
    page.browser.until(STATE, "SHIPPED").await;
    page.browser.until("document.querySelectorAll('#orders .SHIPPED').length", 1).await;
    page.browser.until(&level, json!(["Woollen jumper", "98", "0", "98"])).await;
    page.browser.until(&format!("({})[4]", row("#accounts", "Ada")), "69.98").await;
    let buttons = "[...document.querySelectorAll('.buttons button')].map(one => one.disabled)";
    assert_eq!(page.browser.value(buttons).await, json!([true, true]));

    // And its history tells all of it
    let history = "[...document.querySelectorAll('#history summary')].map(event => \
        event.firstChild.textContent.trim())";
    let events = ["1. OrderCreated", "2. OrderValidated", "3. OrderPaid", "4. OrderShipped"];
    assert_eq!(page.browser.value(history).await, json!(events));
    page.browser.click("#history li:first-child summary").await;
    let first = "JSON.parse(document.querySelector('#history details[open] pre').textContent)";
    assert_eq!(page.browser.value(&format!("({first}).state")).await, "CREATED");
    page.assert_fits().await;
    page.close(&[]).await;
}

#[tokio::test]
async fn an_order_is_placed_watched_and_shipped_on_a_desktop() {
    an_order_is_placed_watched_and_shipped(DESKTOP).await;
}

#[tokio::test]
async fn an_order_is_placed_watched_and_shipped_on_a_phone() {
    an_order_is_placed_watched_and_shipped(PHONE).await;
}

#[tokio::test]
async fn what_is_wrong_is_told_where_it_is_wrong() {
    let Some(mut page) = Page::open(DESKTOP).await else { return };
    let at_line = "document.querySelector('#line-0-error').textContent";

    // What is not filled in is told without asking
    page.browser.click("#submit").await;
    let at_customer = "document.querySelector('#customer-error').textContent";
    page.browser.until(at_customer, "Choose a customer.").await;
    assert_eq!(page.browser.value("document.activeElement.id").await, "customer");
    assert_eq!(page.browser.value(at_line).await, "Choose a product.");

    // What the server refuses is told at its field
    page.place("ada", "lamp", "0").await;
    page.browser.until(at_line, "A quantity is 1 to 1000000, not 0.").await;
    let focus = "document.activeElement.getAttribute('aria-label')";
    assert_eq!(page.browser.value(focus).await, "Pieces of product 1");
    assert_eq!(page.browser.value(at_customer).await, "");

    // An order that fails says why
    page.place("ada", "lamp", "41").await;
    page.browser.until(STATE, "FAILED").await;
    let why = "document.querySelector('#order-failures').textContent";
    let why = page.browser.value(why).await;
    assert_eq!(why, "lamp: 41 asked for, 40 available (Inventory)");
    assert_eq!(page.browser.value(at_line).await, "");
    page.close(&["422 (Unprocessable"]).await;
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_and_an_address_shows_an_order() {
    let Some(mut page) = Page::open(DESKTOP).await else { return };
    for number in 10..35 {
        page.shop.order(&format!("order-{number}"), "ada").await;
    }
    page.shop.order("of-grace", "grace").await;
    let count = format!("({IDS}).length");
    page.browser.until(&format!("({IDS})[0]"), "of-grace").await;
    page.browser.until("document.querySelectorAll('#orders .PAID').length", 20).await;

    // Older ones are on the next page, which stays as it is
    page.browser.click("#older").await;
    page.browser.until(&count, 6).await;
    assert_eq!(page.browser.value(&format!("({IDS})[5]")).await, "order-10");
    page.browser.click("#newest").await;
    page.browser.until(&count, 20).await;

    // A filter shows some, also of those that come
    page.browser.type_into("#filter-customer", "grace\u{e007}").await;
    page.browser.until(IDS, json!(["of-grace"])).await;
    page.shop.order("of-alan", "alan").await;
    page.shop.order("of-grace-2", "grace").await;
    page.browser.until(IDS, json!(["of-grace-2", "of-grace"])).await;
    page.choose_state("FAILED").await;
    page.browser.until(&count, 0).await;
    page.choose_state("PAID").await;
    page.browser.until(&count, 2).await;

    // One of them is opened, and left with the browser's button
    page.browser.click("#orders tr:last-child a").await;
    page.browser.until("document.querySelector('#order-id').textContent", "of-grace").await;
    page.browser.until("document.querySelectorAll('#history li').length", 3).await;
    page.browser.value("history.back()").await;
    page.browser.until("document.querySelector('#order-empty').hidden", false).await;

    // An order that is taken out of the filter goes
    page.browser.click("#orders tr:last-child a").await;
    page.browser.until(STATE, "PAID").await;
    page.browser.click("#cancel").await;
    page.browser.until(STATE, "CANCELLED").await;
    page.browser.until(IDS, json!(["of-grace-2"])).await;
    page.close(&[]).await;
}

#[tokio::test]
async fn nothing_moves_while_it_is_paused() {
    let Some(mut page) = Page::open(DESKTOP).await else { return };
    page.browser.click("#pause").await;
    page.browser.until("document.querySelector('#page-note').textContent", "Page 1, paused").await;
    page.shop.order("unseen", "ada").await;
    // More than a list waits before it draws.
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(page.browser.value(IDS).await, json!([]));

    page.browser.click("#pause").await;

    page.browser.until(IDS, json!(["unseen"])).await;
    page.close(&[]).await;
}

#[tokio::test]
async fn a_server_that_was_away_is_found_again() {
    let Some(mut page) = Page::open(DESKTOP).await else { return };
    let server = "document.querySelector('#server').textContent";
    let Page { mut browser, shop, _turn } = page;

    let shop = shop.restart(browser.until(server, "The server does not answer")).await;

    browser.until(server, "Connected").await;
    shop.order("after", "ada").await;
    browser.until(IDS, json!(["after"])).await;
    page = Page { browser, shop, _turn };
    page.place("grace", "mug", "1").await;
    page.browser.until(STATE, "PAID").await;
    page.close(&["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]).await;
}
