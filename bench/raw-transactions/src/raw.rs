//! The loop and its clients.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const VALUE: [u8; 250] = [b'x'; 250];
const TIMEOUT: Duration = Duration::from_secs(10);

type Client = ThreadedProducer<DefaultProducerContext>;

/// Clients of a broker, and two topics of their own.
pub(super) struct Raw {
    input: String,
    output: String,
    partitions: i32,
    requests: Client,
    consumer: BaseConsumer,
    pair: [Client; 2],
}

fn config(servers: &str, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "0");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    config
}

impl Raw {
    pub(super) fn new(servers: &str, partitions: i32) -> Result<Self> {
        let run = uuid::Uuid::now_v7();
        let (input, output) = (format!("raw-in-{run}"), format!("raw-out-{run}"));
        let admin: AdminClient<DefaultClientContext> = config(servers, &[]).create()?;
        let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        block_on(admin.create_topics(&[topic(&input), topic(&output)], &AdminOptions::new()))?;
        let consumer: BaseConsumer = config(
            servers,
            &[
                ("group.id", &format!("raw-{run}")),
                ("enable.auto.commit", "false"),
                ("isolation.level", "read_committed"),
                ("auto.offset.reset", "earliest"),
            ],
        )
        .create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(&input, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let transactional = |number: usize| -> Result<Client> {
            let id = format!("raw-{run}-{number}");
            let properties = [
                ("transactional.id", id.as_str()),
                ("acks", "all"),
                ("retry.backoff.ms", "1"),
                ("retry.backoff.max.ms", "50"),
            ];
            let client: Client = config(servers, &properties).create()?;
            client.init_transactions(TIMEOUT)?;
            Ok(client)
        };
        let pair = [transactional(0)?, transactional(1)?];
        let requests = config(servers, &[("enable.idempotence", "true")]).create()?;
        Ok(Raw { input, output, partitions, requests, consumer, pair })
    }

    /// Prints what comes of `count` transactions of `batch` records, each written once, over so
    /// many partitions.
    pub(super) fn measure(&self, written_to: i32, batch: usize, count: usize) -> Result<()> {
        let mut times = Vec::with_capacity(count);
        let mut all = Duration::ZERO;
        for number in 0..count {
            for index in 0..batch {
                let partition = (number + index) as i32 % self.partitions;
                let record = BaseRecord::<(), _>::to(&self.input).payload(&VALUE);
                let sent = self.requests.send(record.partition(partition));
                sent.map_err(|(error, _)| error)?;
            }
            settle(&self.requests);
            let began = now();
            self.transaction(&self.pair[number % 2], written_to, batch)?;
            times.push(began.elapsed());
            all += began.elapsed();
        }
        times.sort_unstable();
        let at = |percent: usize| times[(count - 1) * percent / 100].as_secs_f64() * 1_000.0;
        println!(
            "{{\"mode\":\"raw-transactions\",\"partitions\":{written_to},\"records\":{batch},\
             \"p50_ms\":{:.2},\"p90_ms\":{:.2},\"p99_ms\":{:.2},\"records_per_s\":{:.0}}}",
            at(50),
            at(90),
            at(99),
            (count * batch) as f64 / all.as_secs_f64(),
        );
        Ok(())
    }

    fn transaction(&self, producer: &Client, written_to: i32, batch: usize) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        let mut consumed = 0;
        while consumed < batch {
            let message = self.consumer.poll(TIMEOUT).context("nothing came")??;
            let next = Offset::Offset(message.offset() + 1);
            offsets.add_partition_offset(&self.input, message.partition(), next)?;
            consumed += 1;
        }
        producer.begin_transaction()?;
        for index in 0..batch.max(written_to as usize) {
            let record = BaseRecord::<(), _>::to(&self.output).payload(&VALUE);
            let sent = producer.send(record.partition(index as i32 % written_to));
            sent.map_err(|(error, _)| error)?;
        }
        settle(producer);
        let member = self.consumer.group_metadata().context("no group")?;
        producer.send_offsets_to_transaction(&offsets, &member, TIMEOUT)?;
        Ok(producer.commit_transaction(TIMEOUT)?)
    }
}

/// Waits for deliveries. The client itself would look for their end every 100 ms only.
fn settle(producer: &Client) {
    while producer.in_flight_count() > 0 {
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "deliveries are counted, not told, to a bare client")]
fn pause() {
    std::thread::sleep(Duration::from_micros(100));
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn now() -> Instant {
    Instant::now()
}
