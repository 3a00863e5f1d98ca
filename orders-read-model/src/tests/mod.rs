//! The read model on both databases, over a log in memory.

mod fixtures;
mod lists;
mod postgres;
mod projection;
mod streaming;

/// Makes a test on SQLite, and one on PostgreSQL where there is any, of each function.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::tests::fixtures::TestDatabase::sqlite()).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(database) = $crate::tests::postgres::database().await {
                        super::$name(database).await;
                    }
                }
            )+
        }
    };
}
use on_both_databases;
