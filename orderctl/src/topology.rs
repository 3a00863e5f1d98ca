//! What services are made of.

use std::fmt::Write as _;
use std::io::{Write, stdout};

use orders_service::order::state::Timeouts;
use streams::{Topology, TopologyError};

use crate::Outcome;
use crate::arguments::{Service, TopologyFormat};

/// Prints the topology of a service, or of all.
pub(crate) fn print(service: Option<Service>, format: TopologyFormat) -> anyhow::Result<Outcome> {
    let services = service.map_or(Service::ALL.to_vec(), |service| vec![service]);
    let topologies: Vec<Topology> = services.into_iter().map(topology).collect::<Result<_, _>>()?;
    let text = match format {
        TopologyFormat::Text => {
            topologies.iter().map(Topology::describe).collect::<Vec<_>>().join("\n")
        }
        TopologyFormat::Mermaid => mermaid(&topologies),
    };
    stdout().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}

fn topology(service: Service) -> Result<Topology, TopologyError> {
    match service {
        Service::Orders => orders_service::topology(Timeouts::DEFAULT),
        Service::Inventory => inventory_service::topology(),
        Service::Fraud => fraud_service::topology(),
        Service::Payments => payments_service::topology(),
    }
}

/// Services as boxes, topics as rounded ones; a table that a service looks things up in is joined
/// to it by a dotted line.
fn mermaid(topologies: &[Topology]) -> String {
    let mut text = "flowchart TB\n".to_owned();
    for topology in topologies {
        let name = topology.name();
        let _ = writeln!(text, "    {name}[{name}]");
        for topic in topology.sources() {
            let _ = writeln!(text, "    {topic}([{topic}]) --> {name}");
        }
        for topic in topology.tables() {
            let _ = writeln!(text, "    {topic}([{topic}]) -.-> {name}");
        }
        for topic in topology.sinks() {
            let _ = writeln!(text, "    {name} --> {topic}([{topic}])");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flowchart_leads_from_topics_to_a_service_and_on() {
        let text = mermaid(&[topology(Service::Orders).unwrap()]);

        assert!(text.starts_with("flowchart TB\n    orders-service[orders-service]\n"), "{text}");
        for line in [
            "order-requests([order-requests]) --> orders-service",
            "products([products]) -.-> orders-service",
            "orders-service --> order-lines([order-lines])",
        ] {
            assert!(text.contains(&format!("    {line}\n")), "{line} in {text}");
        }
    }
}
