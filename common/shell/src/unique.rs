//! Ids that nothing else has.

use uuid::Uuid;

/// A new UUID of version 7: later ones order behind earlier ones, as near as clocks agree, so that
/// what is kept under them is written side by side.
pub fn id() -> Uuid {
    Uuid::now_v7()
}
