//! What the environment says, by the names that OpenTelemetry has for it.

/// A variable of the environment, by its name.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wanted of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The URL that spans are sent to.
    pub endpoint: String,
    /// The share of the traces begun here that are recorded.
    pub ratio: f64,
    /// A name in the place of the service's own.
    pub service_name: Option<String>,
}

impl Settings {
    /// What these variables say: `None` where spans are wanted nowhere.
    pub fn read(variable: Variable<'_>) -> Option<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let is_disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_elsewhere = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
        let of_all = || {
            let endpoint = variable(opentelemetry_otlp::OTEL_EXPORTER_OTLP_ENDPOINT)?;
            Some(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        };
        let endpoint = variable(opentelemetry_otlp::OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
            .or_else(of_all)
            .filter(|_| !is_disabled && !is_elsewhere)?;
        let sampler = variable("OTEL_TRACES_SAMPLER");
        if sampler.as_deref() == Some("always_off") {
            return None;
        }
        let ratio = || variable("OTEL_TRACES_SAMPLER_ARG")?.parse().ok();
        let ratio = match sampler.as_deref() {
            Some("parentbased_always_off") => 0.0,
            Some("traceidratio" | "parentbased_traceidratio") => ratio().unwrap_or(1.0),
            _ => 1.0,
        };
        Some(Settings { endpoint, ratio, service_name: variable("OTEL_SERVICE_NAME") })
    }

    /// The URL that spans are sent to, as a log may have it: without who it is sent by.
    pub fn shown_endpoint(&self) -> String {
        let Some((scheme, rest)) = self.endpoint.split_once("://") else {
            return String::new();
        };
        let authority = rest.find('/').unwrap_or(rest.len());
        let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
        format!("{scheme}://{}", &rest[host..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<Settings> {
        Settings::read(&|name| {
            let (_, value) = variables.iter().find(|(found, _)| *found == name)?;
            Some((*value).to_owned())
        })
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn spans_are_wanted_where_an_endpoint_is_named() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
        let settings = read(&[ENDPOINT]).unwrap();
        assert_eq!(settings.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(settings.service_name, None);
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/v1/traces");
        assert_eq!(read(&[ENDPOINT, of_traces]).unwrap().endpoint, "http://other/v1/traces");
    }

    #[test]
    fn spans_can_be_switched_off() {
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "always_off")]), None);
    }

    #[test]
    fn who_spans_are_sent_by_is_not_shown() {
        let shown = |endpoint| {
            read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)]).unwrap().shown_endpoint()
        };
        assert_eq!(shown("http://me:secret@host:4318/v1/traces"), "http://host:4318/v1/traces");
        assert_eq!(shown("http://host/v1/@traces"), "http://host/v1/@traces");
        assert_eq!(shown("me:secret@host"), "");
    }

    #[test]
    fn every_trace_is_recorded_unless_a_share_is_named() {
        let ratio = |sampler, argument| {
            let variables =
                [ENDPOINT, ("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            read(&variables).unwrap().ratio
        };
        assert_eq!(ratio("", ""), 1.0);
        assert_eq!(ratio("parentbased_traceidratio", "0.25"), 0.25);
        assert_eq!(ratio("traceidratio", "much"), 1.0);
        assert_eq!(ratio("parentbased_always_off", ""), 0.0);
    }
}
