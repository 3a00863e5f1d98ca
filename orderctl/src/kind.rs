//! What can be imported and exported: its columns, its JSON, and where it is.

use serde_json::{Map, Value, json};

use crate::arguments::{Kind, Service};

/// A column of CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) is: Is,
}

/// What a column is to import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// A row needs it.
    Needed,
    /// A row may have it.
    Wanted,
    /// Import passes over it: it tells what became of the thing.
    Told,
}

const fn needed(name: &'static str) -> Column {
    Column { name, is: Is::Needed }
}

const CUSTOMER_COLUMNS: [Column; 8] = [
    needed("id"),
    needed("firstName"),
    needed("lastName"),
    needed("email"),
    needed("address"),
    needed("level"),
    needed("creditLimit"),
    needed("currency"),
];

const PRODUCT_COLUMNS: [Column; 5] = [
    needed("id"),
    needed("name"),
    needed("price"),
    needed("currency"),
    Column { name: "stock", is: Is::Wanted },
];

const ORDER_COLUMNS: [Column; 9] = [
    needed("id"),
    needed("customerId"),
    needed("currency"),
    needed("productId"),
    needed("quantity"),
    Column { name: "unitPrice", is: Is::Wanted },
    Column { name: "state", is: Is::Told },
    Column { name: "total", is: Is::Told },
    Column { name: "placedAt", is: Is::Told },
];

/// Members of an order as it is shown, which say what became of it.
const TOLD_OF_ORDER: [&str; 7] =
    ["version", "state", "total", "checks", "failures", "placedAt", "updatedAt"];

/// One thing to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) id: String,
    /// The body of the request.
    pub(crate) body: Value,
    /// How many pieces of a product there are to begin with.
    pub(crate) stock: Option<u64>,
}

impl Kind {
    /// Its columns, in the order in which they are written.
    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Kind::Customers => &CUSTOMER_COLUMNS,
            Kind::Products => &PRODUCT_COLUMNS,
            Kind::Orders => &ORDER_COLUMNS,
        }
    }

    /// The service that has it.
    pub(crate) const fn service(self) -> Service {
        match self {
            Kind::Customers => Service::Payments,
            Kind::Products => Service::Inventory,
            Kind::Orders => Service::Orders,
        }
    }

    /// The path of its list.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Kind::Customers => "/v1/customers",
            Kind::Products => "/v1/products",
            Kind::Orders => "/v1/orders",
        }
    }

    /// What it is called in a list.
    pub(crate) fn name(self) -> &'static str {
        self.path().trim_start_matches("/v1/")
    }

    /// The thing that an object of JSON lines tells.
    ///
    /// # Errors
    /// The reason, for people.
    pub(crate) fn of_object(self, mut object: Map<String, Value>) -> Result<Entry, String> {
        let id = match object.get("id") {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            _ => return Err("it has no `id`".to_owned()),
        };
        let mut stock = None;
        match self {
            Kind::Orders => TOLD_OF_ORDER.iter().for_each(|name| drop(object.remove(*name))),
            Kind::Customers => drop(object.remove("id")),
            Kind::Products => {
                object.remove("id");
                if let Some(pieces) = object.remove("stock").filter(|value| !value.is_null()) {
                    let number = pieces.as_u64();
                    stock = Some(number.ok_or_else(|| no_number("stock", &pieces.to_string()))?);
                }
            }
        }
        Ok(Entry { id, body: Value::Object(object), stock })
    }

    /// The customer or product that a row of CSV tells; `cell` gives what is in a column, where
    /// the file has it.
    ///
    /// # Errors
    /// The reason, for people.
    pub(crate) fn of_row<'a>(
        self,
        cell: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Entry, String> {
        let text = |name| cell(name).unwrap_or_default();
        let body = match self {
            Kind::Customers => json!({
                "firstName": text("firstName"),
                "lastName": text("lastName"),
                "email": text("email"),
                "address": text("address"),
                "level": text("level"),
                "creditLimit": {"amount": text("creditLimit"), "currency": text("currency")},
            }),
            Kind::Products => json!({
                "name": text("name"),
                "price": {"amount": text("price"), "currency": text("currency")},
            }),
            Kind::Orders => json!({
                "id": text("id"),
                "customerId": text("customerId"),
                "currency": text("currency"),
                "lines": [],
            }),
        };
        let stock = cell("stock").filter(|pieces| !pieces.is_empty());
        let stock = stock.map(|pieces| pieces.parse().map_err(|_| no_number("stock", pieces)));
        Ok(Entry { id: text("id").to_owned(), body, stock: stock.transpose()? })
    }
}

/// The line of an order that a row of CSV tells.
///
/// # Errors
/// The reason, for people.
pub(crate) fn line_of_row<'a>(cell: impl Fn(&str) -> Option<&'a str>) -> Result<Value, String> {
    let text = |name| cell(name).unwrap_or_default();
    let quantity: u64 =
        text("quantity").parse().map_err(|_| no_number("quantity", text("quantity")))?;
    let mut line = json!({"productId": text("productId"), "quantity": quantity});
    if let Some(price) = cell("unitPrice").filter(|price| !price.is_empty()) {
        line["unitPrice"] = price.into();
    }
    Ok(line)
}

fn no_number(name: &str, text: &str) -> String {
    format!("{name}: `{text}` is no number of pieces")
}

/// The rows of CSV that tell a thing as export has it in JSON lines, cells in order of columns.
pub(crate) fn rows_of(kind: Kind, thing: &Value) -> Vec<Vec<String>> {
    let lines = thing["lines"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let cell = |column: &Column, line: &Value| {
        let value = match (kind, column.name) {
            (Kind::Customers, "creditLimit") => &thing["creditLimit"]["amount"],
            (Kind::Customers, "currency") => &thing["creditLimit"]["currency"],
            (Kind::Products, "price") => &thing["price"]["amount"],
            (Kind::Products, "currency") => &thing["price"]["currency"],
            (Kind::Orders, name @ ("productId" | "quantity" | "unitPrice")) => &line[name],
            (_, name) => &thing[name],
        };
        match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    };
    let row = |line| kind.columns().iter().map(|column| cell(column, line)).collect();
    match kind {
        Kind::Orders => lines.iter().map(row).collect(),
        Kind::Customers | Kind::Products => vec![row(&Value::Null)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_object(kind: Kind, value: Value) -> Result<Entry, String> {
        let Value::Object(object) = value else { panic!("{value}") };
        kind.of_object(object)
    }

    #[test]
    fn an_order_as_it_is_shown_is_placed_as_it_was_asked_for() {
        let asked = json!({"id": "o-1", "customerId": "c-1", "currency": "GBP", "lines": []});
        let mut shown = asked.clone();
        for name in TOLD_OF_ORDER {
            shown[name] = json!("told");
        }

        assert_eq!(of_object(Kind::Orders, shown).unwrap().body, asked);
    }

    #[test]
    fn what_the_api_does_not_know_is_left_for_it_to_refuse() {
        let entry = of_object(Kind::Products, json!({"id": "p", "nam": "P"})).unwrap();

        assert_eq!(entry, Entry { id: "p".to_owned(), body: json!({"nam": "P"}), stock: None });
    }

    #[test]
    fn nothing_is_imported_without_an_id_or_with_stock_that_is_no_number() {
        for kind in [Kind::Customers, Kind::Products, Kind::Orders] {
            for object in [json!({}), json!({"id": ""}), json!({"id": 7})] {
                assert_eq!(of_object(kind, object), Err("it has no `id`".to_owned()));
            }
        }
        for stock in [json!(-1), json!(1.5), json!("7")] {
            let object = json!({"id": "p", "stock": stock});
            assert!(of_object(Kind::Products, object).unwrap_err().starts_with("stock:"));
        }
    }
}
