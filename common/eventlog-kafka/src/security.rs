//! TLS and SASL for the client of transactions, from the properties of librdkafka that the other
//! clients take as they are: see its CONFIGURATION.md.

use std::collections::BTreeMap;

use krafka::auth::{AuthConfig, TlsConfig};

use crate::error::Error;

type Properties = BTreeMap<String, String>;

/// Properties of security that both libraries have.
const KNOWN: [&str; 13] = [
    "enable.ssl.certificate.verification",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.pem",
];
/// What the names of others begin with. One that the client of transactions does not have is
/// refused: to go on without it may be less safe than was asked for.
const PREFIXES: [&str; 5] = ["enable.sasl.", "enable.ssl.", "sasl.", "security.", "ssl."];

/// Whether a property is one of security.
pub(crate) fn is_of_security(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// How the client of transactions proves who it is, and hides what it says.
pub(crate) fn of(properties: &Properties) -> Result<AuthConfig, Error> {
    let is_unknown = |name: &&String| is_of_security(name) && !KNOWN.contains(&name.as_str());
    if let Some(name) = properties.keys().find(is_unknown) {
        return Err(refused(name, "transactions cannot be made with it"));
    }
    let protocol = property(properties, "security.protocol").unwrap_or("plaintext");
    match protocol.to_ascii_lowercase().as_str() {
        "plaintext" => Ok(AuthConfig::plaintext()),
        "ssl" => Ok(AuthConfig::ssl(tls(properties)?)),
        "sasl_plaintext" => sasl(properties),
        "sasl_ssl" => Ok(sasl(properties)?.with_tls(tls(properties)?)),
        _ => Err(refused("security.protocol", "it is plaintext, ssl, sasl_plaintext or sasl_ssl")),
    }
}

fn sasl(properties: &Properties) -> Result<AuthConfig, Error> {
    let needed = |name: &str| {
        property(properties, name).ok_or_else(|| refused(name, "SASL needs it, and it is not set"))
    };
    let names = ["sasl.mechanism", "sasl.mechanisms"];
    let mechanism = match names.map(|name| property(properties, name)) {
        [Some(one), Some(other)] if one != other => {
            return Err(refused(
                names[0],
                "sasl.mechanisms, another name of it, has another value",
            ));
        }
        [one, other] => one.or(other).unwrap_or_default(),
    };
    let with = match mechanism {
        "PLAIN" => AuthConfig::sasl_plain,
        "SCRAM-SHA-256" => AuthConfig::sasl_scram_sha256,
        "SCRAM-SHA-512" => AuthConfig::sasl_scram_sha512,
        _ => {
            let reason = "transactions are made with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
            return Err(refused("sasl.mechanism", reason));
        }
    };
    Ok(with(needed("sasl.username")?, needed("sasl.password")?))
}

fn tls(properties: &Properties) -> Result<TlsConfig, Error> {
    let is_verified = match property(properties, "enable.ssl.certificate.verification") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => {
            return Err(refused("enable.ssl.certificate.verification", "it is true or false"));
        }
    };
    let endpoint = "ssl.endpoint.identification.algorithm";
    if property(properties, endpoint).is_some_and(|algorithm| algorithm != "https") {
        return Err(refused(endpoint, "transactions are made with https only"));
    }
    let mut tls = if is_verified { TlsConfig::new() } else { TlsConfig::insecure() };
    tls = match (property(properties, "ssl.ca.location"), property(properties, "ssl.ca.pem")) {
        (Some(path), _) => tls.with_ca_cert(path),
        (None, Some(pem)) => tls.with_ca_cert_pem(pem),
        (None, None) => with_authorities_of_the_machine(tls),
    };
    let pair = |certificate: &'static str, key: &'static str| {
        let both = [certificate, key].map(|name| property(properties, name));
        let reason = format!("{certificate} and {key} go together");
        match both {
            [Some(certificate), Some(key)] => Ok(Some((certificate, key))),
            [None, None] => Ok(None),
            [Some(_), None] => Err(refused(certificate, &reason)),
            [None, Some(_)] => Err(refused(key, &reason)),
        }
    };
    if let Some((certificate, key)) = pair("ssl.certificate.location", "ssl.key.location")? {
        tls = tls.with_client_cert(certificate, key);
    }
    if let Some((certificate, key)) = pair("ssl.certificate.pem", "ssl.key.pem")? {
        tls = tls.with_client_cert_pem(certificate, key.as_bytes().to_vec());
    }
    Ok(tls)
}

/// As the other clients do where no authorities are named.
#[cfg(feature = "ssl")]
fn with_authorities_of_the_machine(tls: TlsConfig) -> TlsConfig {
    tls.with_native_roots()
}

/// Without TLS nobody gets as far as this: the other clients refuse it.
#[cfg(not(feature = "ssl"))]
fn with_authorities_of_the_machine(tls: TlsConfig) -> TlsConfig {
    tls
}

fn property<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).map(String::as_str)
}

fn refused(name: &str, reason: &str) -> Error {
    Error::Property { name: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use krafka::auth::SecurityProtocol;

    use super::*;

    fn properties(of: &[(&str, &str)]) -> Properties {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const LOGIN: [(&str, &str); 3] = [
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "orders"),
        ("sasl.password", "secret"),
    ];

    #[test]
    fn without_properties_of_security_there_is_none() {
        let plain = of(&properties(&[("client.id", "here"), ("socket.nagle.disable", "true")]));
        assert_eq!(plain.unwrap().security_protocol(), &SecurityProtocol::Plaintext);
    }

    #[test]
    fn a_login_and_certificates_are_passed_on() {
        let mut all = properties(&LOGIN);
        all.extend(properties(&[
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", "/ca.pem"),
            ("ssl.certificate.location", "/orders.pem"),
            ("ssl.key.location", "/orders.key"),
        ]));
        let security = of(&all).unwrap();

        assert_eq!(security.security_protocol(), &SecurityProtocol::SaslSsl);
        assert_eq!(security.scram_credentials().unwrap().username, "orders");
        let tls = security.tls_config().unwrap();
        assert!(tls.verify_server_cert());
        assert_eq!(tls.ca_cert_path(), Some("/ca.pem"));
        assert_eq!(tls.client_cert_path(), Some("/orders.pem"));
        assert_eq!(tls.client_key_path(), Some("/orders.key"));
    }

    #[test]
    fn what_would_be_passed_over_is_refused_by_name() {
        let refused_for = |of_it: &[(&str, &str)]| match of(&properties(of_it)) {
            Err(Error::Property { name, .. }) => name,
            other => panic!("not refused: {other:?}"),
        };
        assert_eq!(refused_for(&[("ssl.key.password", "secret")]), "ssl.key.password");
        assert_eq!(refused_for(&[("security.protocol", "tls")]), "security.protocol");
        let sasl = ("security.protocol", "sasl_plaintext");
        assert_eq!(refused_for(&[sasl]), "sasl.mechanism");
        assert_eq!(refused_for(&[sasl, ("sasl.mechanism", "GSSAPI")]), "sasl.mechanism");
        assert_eq!(refused_for(&[sasl, LOGIN[0], LOGIN[1]]), "sasl.password");
        let other = ("sasl.mechanisms", "PLAIN");
        assert_eq!(refused_for(&[sasl, LOGIN[0], other]), "sasl.mechanism");
        let tls = ("security.protocol", "ssl");
        assert_eq!(refused_for(&[tls, ("ssl.key.pem", "key")]), "ssl.key.pem");
        let endpoint = "ssl.endpoint.identification.algorithm";
        assert_eq!(refused_for(&[tls, (endpoint, "none")]), endpoint);
    }
}
