//! What the command line and the environment say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Imports, exports, dead letters and topologies of the order-management system.
///
/// Exit codes: 0 where all was done, 1 where something was refused or failed, 2 where the command
/// could not be carried out at all.
#[derive(Clone, Debug, Parser)]
#[command(name = "orderctl", version)]
pub struct Arguments {
    /// Where the system is.
    #[command(flatten)]
    pub servers: ServerArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the system is: one URL where all of it runs in one process, one a service elsewhere.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where the system is")]
pub struct ServerArguments {
    /// The server, and each service that has no URL of its own.
    #[arg(
        long,
        global = true,
        env = "ORDERCTL_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,
    /// The URL of orders-service, where it is another.
    #[arg(long, global = true, env = "ORDERCTL_ORDERS_URL", value_name = "URL")]
    pub orders_url: Option<String>,
    /// The URL of inventory-service (products and stock), where it is another.
    #[arg(long, global = true, env = "ORDERCTL_INVENTORY_URL", value_name = "URL")]
    pub inventory_url: Option<String>,
    /// The URL of fraud-service (which has dead letters alone), where it is another.
    #[arg(long, global = true, env = "ORDERCTL_FRAUD_URL", value_name = "URL")]
    pub fraud_url: Option<String>,
    /// The URL of payments-service (customers), where it is another.
    #[arg(long, global = true, env = "ORDERCTL_PAYMENTS_URL", value_name = "URL")]
    pub payments_url: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Put customers and products, place orders, from CSV or JSON lines.
    Import(ImportArguments),
    /// Write customers, products or orders to stdout, as import takes them.
    ///
    /// Orders are written newest first, with `state`, `total` and more that import passes over.
    Export {
        /// What to write.
        kind: Kind,
        /// How to write it.
        #[arg(long, default_value = "jsonl")]
        format: Format,
    },
    /// Show and put back records that services could not read.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Print what a service is made of; without a name, of each.
    Topology {
        /// The service.
        service: Option<Service>,
        /// How to print it.
        #[arg(long, default_value = "text")]
        format: TopologyFormat,
    },
}

const IMPORT_HELP: &str = "\
CSV begins with a line of column names, in any order:
  customers  id,firstName,lastName,email,address,level,creditLimit,currency
  products   id,name,price,currency and, if wanted, stock
  orders     id,customerId,currency,productId,quantity and, if wanted, unitPrice:
             one row a line of an order, the rows of one order together.
             state, total and placedAt, which export writes, are passed over.
JSON lines are the bodies of the REST API with the `id` (see /docs of a server), a product's with
`stock` if wanted.

`stock` is what a product begins with: it is taken in once, as adjustment `opening-stock`, where
the product has nothing on hand yet. Importing the same file again changes nothing, but for a
product whose stock came otherwise and has gone since: it begins with that stock then.";

/// What to import, and how.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = IMPORT_HELP, after_help = "`--help` names the columns.")]
pub struct ImportArguments {
    /// What is in the file.
    pub kind: Kind,
    /// The file; `-` is stdin.
    pub file: PathBuf,
    /// What it is written as; otherwise its name ends in `.csv`, `.jsonl` or `.ndjson`.
    #[arg(long)]
    pub format: Option<Format>,
    /// How many requests are under way at once.
    #[arg(long, default_value = "16", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    /// Where to tell what was refused, as JSON lines; otherwise stderr, for people.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// How long a request that a server cannot take now is tried again, in seconds. Then the
    /// import ends.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub retry_s: u64,
}

/// What can be imported and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Customers and the limits of their accounts.
    Customers,
    /// Products and their stock.
    Products,
    /// Orders.
    Orders,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, with a line of column names.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What to do with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Show them: what could not be read, where it was, and why.
    List {
        /// How to show them.
        #[arg(long, default_value = "text")]
        format: LetterFormat,
    },
    /// Put them back where they came from; a letter that was put back before stays as it is.
    ///
    /// Each service that could not read the record takes it then, once, after what has come
    /// since. One that still cannot be read becomes another dead letter.
    Requeue(Which),
}

/// Which dead letters.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The id of one, as `list` shows it.
    pub id: Option<String>,
    /// Every one that was not put back yet.
    #[arg(long)]
    pub all: bool,
}

/// How dead letters are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LetterFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Jsonl,
}

/// How a topology is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopologyFormat {
    /// Each processor and what it is connected to.
    Text,
    /// The services and the topics between them, as a Mermaid flowchart.
    Mermaid,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Takes orders.
    Orders,
    /// Keeps products and their stock.
    Inventory,
    /// Checks what customers spend.
    Fraud,
    /// Keeps customers and their accounts.
    Payments,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 4] =
        [Service::Orders, Service::Inventory, Service::Fraud, Service::Payments];
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_put_together_well() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn requeue_wants_an_id_or_all_and_not_both() {
        let parse = |rest: &[&str]| {
            let words = ["orderctl", "dead-letters", "requeue"].iter().chain(rest);
            Arguments::try_parse_from(words).is_ok()
        };
        assert!(parse(&["0:1"]));
        assert!(parse(&["--all"]));
        assert!(!parse(&[]));
        assert!(!parse(&["0:1", "--all"]));
    }
}
