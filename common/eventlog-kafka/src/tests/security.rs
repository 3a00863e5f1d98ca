//! A broker that wants to know who one is.

use super::setup::{PARTITIONS, Setup};
use crate::Settings;
use crate::producers::Producers;
use crate::testing::Broker;

const WITH_LOGIN: [(&str, &str); 3] = [
    (
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
        "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT",
    ),
    ("KAFKA_SASL_ENABLED_MECHANISMS", "PLAIN"),
    (
        "KAFKA_LISTENER_NAME_PLAINTEXT_PLAIN_SASL_JAAS_CONFIG",
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_orders=\"secret\";",
    ),
];

fn login(settings: Settings, password: &str) -> Settings {
    let login = [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "orders"),
        ("sasl.password", password),
    ];
    let login = login.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings { properties: login.into(), ..settings }
}

#[test]
fn all_clients_log_in() {
    let Some(broker) = Broker::find_with(&WITH_LOGIN) else { return };
    let setup = Setup::on(Box::leak(Box::new(broker)));
    let log = setup.connect_with(login(setup.settings(), "secret"));

    let mut session = setup.join(&log, PARTITIONS as usize);
    setup.commit(&mut session, "known");
    assert_eq!(setup.decided(&mut session), ["known"]);

    let unknown = login(setup.settings(), "wrong");
    let refused = Producers::open(&unknown, "unknown", setup.service.changelog).unwrap_err();
    assert!(refused.to_string().to_lowercase().contains("auth"), "{refused}");
}
