//! The page at `/`, used in a real browser as people use it.
//!
//! It needs Chromium and its chromedriver. Where they are not installed, the tests say that they
//! are not run; `REQUIRE_BROWSER=1` makes that a failure.
#![cfg(unix)]

mod page;
mod shop;
mod webdriver;
