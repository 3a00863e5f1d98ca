//! The routes by which an operator sees what could not be read, and puts it back.
//!
//! Dead letters lie on a topic that all services write, and stay there. One that is put back has a
//! mark behind it, in its partition. The mark is for those who look: that a record is taken once,
//! however often it is put back, is decided by the task that could not read it. So nothing goes
//! wrong where a process ends between the two, or where two put the same letter back at once.
#![warn(missing_docs)]

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shell::json::{self, NoBody};
use shell::openapi::parameters::Limit;
use shell::openapi::responses::{BadQuery, NotFound};
use shell::params::{PathId, Query};
use shell::problem::ApiError;
use shell::{ServiceError, ServiceHandle, clock, page};
use streams::{ConsumedRecord, Offset, Partition, TopicPartition, dead_letter};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How many records are read at once: a dead letter may be long.
const READ_AT_ONCE: usize = 100;

/// A record that a service could not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct DeadLetter {
    /// Its id: where it lies among the dead letters, partition and offset.
    #[schema(value_type = String)]
    id: LetterId,
    /// The topic that the record was read from.
    topic: &'static str,
    /// The partition there.
    partition: u32,
    /// The offset there.
    offset: u64,
    /// The record's key, as far as it is text.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Why it could not be read.
    reason: String,
    /// The record's time.
    #[schema(format = DateTime)]
    time: String,
    /// Whether it was put back.
    requeued: bool,
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetterPage {
    /// Dead letters, in order of partition and offset.
    dead_letters: Vec<DeadLetter>,
    /// The `cursor` of the next page; not there on the last.
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<LetterId>,
}

/// Where a letter lies among the dead letters, as in `2:17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LetterId {
    partition: Partition,
    offset: Offset,
}

/// A text that is no id of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a dead letter's id is a partition and an offset, as in 2:17")]
struct NoLetterId;

impl fmt::Display for LetterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.partition, self.offset)
    }
}

impl Serialize for LetterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for LetterId {
    type Err = NoLetterId;

    fn from_str(text: &str) -> Result<Self, NoLetterId> {
        let (partition, offset) = text.split_once(':').ok_or(NoLetterId)?;
        let id = LetterId {
            partition: Partition(partition.parse().map_err(|_| NoLetterId)?),
            offset: Offset(offset.parse().map_err(|_| NoLetterId)?),
        };
        // Each letter has one id, so no `+1:017`.
        if id.to_string() == text { Ok(id) } else { Err(NoLetterId) }
    }
}

/// The routes of dead letters of these services.
pub fn routes(services: Vec<ServiceHandle>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(requeue))
        .with_state(Arc::new(DeadLetters { services }))
}

/// A page of the records that could not be read, from the topics that the services of this server
/// read.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    tag = "Operations",
    operation_id = "dead_letters",
    params(
        Limit,
        (
            "cursor" = Option<String>,
            Query,
            description = "The `nextCursor` of the page before.",
            example = "0:0",
        ),
    ),
    responses((status = 200, description = "The page.", body = DeadLetterPage), BadQuery),
)]
async fn list(
    State(letters): State<Arc<DeadLetters>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = page::limit(&query)?;
    let after = query.read("cursor", LetterId::from_str)?;
    // One more than is shown, to know whether there are more.
    let mut dead_letters = letters.after(after, limit + 1).await?;
    let has_more = dead_letters.len() > limit;
    dead_letters.truncate(limit);
    let next_cursor = dead_letters.last().filter(|_| has_more).map(|last| last.id);
    Ok(json::answer(StatusCode::OK, &DeadLetterPage { dead_letters, next_cursor }))
}

/// Puts a record back where it was read from.
///
/// Every service that could not read it takes it then, once, after what has come since; the others
/// pass over it. One that still cannot be read becomes another dead letter.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/requeue",
    tag = "Operations",
    operation_id = "requeue_dead_letter",
    params(("id" = String, Path, description = "The dead letter.", example = "0:0")),
    responses(
        (status = 201, description = "The record is put back.", body = DeadLetter),
        (
            status = 200,
            description = "It was put back before: nothing is done.",
            body = DeadLetter,
            headers(("Idempotent-Replayed" = String, description = "`true`.")),
        ),
        NoBody,
        NotFound,
    ),
)]
async fn requeue(
    State(letters): State<Arc<DeadLetters>>,
    id: PathId,
    _: NoBody,
) -> Result<Response, ApiError> {
    let id: LetterId = id.existing("dead letter")?;
    let found = letters.find(id).await?;
    let found = found.ok_or_else(|| ApiError::NotFound(format!("there is no dead letter {id}")))?;
    if found.shown.requeued {
        return Ok(json::replayed(json::answer(StatusCode::OK, &found.shown)));
    }
    let Found { service, record, source, shown } = found;
    let offset = Offset(shown.offset);
    service.append_record(dead_letter::requeued(&record, source, offset)).await?;
    service.append_record(dead_letter::mark(&record, clock::now())).await?;
    Ok(json::answer(StatusCode::CREATED, &DeadLetter { requeued: true, ..shown }))
}

/// The dead letters of the services of a server, which share a log.
struct DeadLetters {
    services: Vec<ServiceHandle>,
}

/// A dead letter as it lies there, and where it is to be put back.
struct Found {
    /// One of the services that read the topic.
    service: ServiceHandle,
    record: ConsumedRecord,
    source: TopicPartition,
    shown: DeadLetter,
}

impl DeadLetters {
    /// At most `limit` letters, those after this one.
    async fn after(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, ServiceError> {
        let mut letters = Vec::new();
        let Some(service) = self.services.first() else { return Ok(letters) };
        let first = after.map_or(Partition(0), |after| after.partition);
        for partition in (first.0..service.log().partitions()).map(Partition) {
            let from = after.filter(|after| after.partition == partition);
            let from = from.map_or(Offset(0), |after| after.offset.next());
            let found = self.of(partition, from, limit - letters.len()).await?;
            letters.extend(found.into_iter().map(|found| found.shown));
            if letters.len() >= limit {
                break;
            }
        }
        Ok(letters)
    }

    /// The first letters of a partition from an offset on. It is read to its end: the marks of
    /// these letters come after them.
    async fn of(
        &self,
        partition: Partition,
        from: Offset,
        limit: usize,
    ) -> Result<Vec<Found>, ServiceError> {
        let mut letters: Vec<Found> = Vec::new();
        let mut marked = HashSet::new();
        let Some(service) = self.services.first() else { return Ok(letters) };
        let (log, topic) = (service.log(), service.topology().dead_letters());
        let of = TopicPartition::new(topic, partition);
        let end = log.ends(&[of]).await?.first().copied().unwrap_or_default();
        let mut position = from;
        while position < end {
            let records = log.read(of, position, READ_AT_ONCE).await?;
            let Some(last) = records.last() else { break };
            position = last.offset.next();
            for record in records {
                if let Some(offset) = dead_letter::marked(&record) {
                    marked.insert(offset);
                } else if letters.len() < limit {
                    letters.extend(self.shown(record));
                }
            }
        }
        for Found { shown, .. } in &mut letters {
            shown.requeued = marked.contains(&shown.id.offset);
        }
        Ok(letters)
    }

    /// The letter with this id, where there is one.
    async fn find(&self, id: LetterId) -> Result<Option<Found>, ServiceError> {
        let partitions = self.services.first().map_or(0, |service| service.log().partitions());
        if id.partition.0 >= partitions {
            return Ok(None);
        }
        let first = self.of(id.partition, id.offset, 1).await?.into_iter().next();
        Ok(first.filter(|found| found.shown.id == id))
    }

    /// A record of the dead letters, where it is one of a topic that a service of this server
    /// reads. Whether it was put back is not known from itself.
    fn shown(&self, record: ConsumedRecord) -> Option<Found> {
        let header = |name| record.headers.get_str(name);
        let name = header(dead_letter::TOPIC)?;
        let reads = |service: &ServiceHandle| {
            service.topology().sources().find(|topic| topic.as_str() == name)
        };
        let (service, topic) =
            self.services.iter().find_map(|service| Some((service, reads(service)?)))?;
        let partition: u32 = header(dead_letter::PARTITION)?.parse().ok()?;
        let is_there = partition < service.log().partitions();
        let source = is_there.then(|| TopicPartition::new(topic, Partition(partition)))?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let shown = DeadLetter {
            id: LetterId { partition: record.source.partition, offset: record.offset },
            topic: topic.as_str(),
            partition,
            offset: header(dead_letter::OFFSET)?.parse().ok()?,
            key: record.key.as_deref().map(text),
            reason: record.headers.get(dead_letter::ERROR).map(|error| text(error))?,
            time: record.timestamp.to_rfc3339(),
            requeued: false,
        };
        Some(Found { service: service.clone(), record, source, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_partition_and_an_offset_and_nothing_else() {
        let id = LetterId { partition: Partition(2), offset: Offset(17) };

        assert_eq!("2:17".parse(), Ok(id));
        assert_eq!(id.to_string(), "2:17");
        for bad in ["", "2", "2:", ":17", "2:17:1", "+2:17", "2:017", "-1:0", "x:1"] {
            assert_eq!(bad.parse::<LetterId>(), Err(NoLetterId), "{bad}");
        }
    }
}
