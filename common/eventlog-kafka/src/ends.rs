//! Where partitions begin and end, as one who reads uncommitted records sees it, and where what can
//! be read as committed ends.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use streams::{Offset, TopicPartition};

use crate::error::{Error, unreachable};
use crate::records::{answered, list};
use crate::remarks::{Remarks, pass_on};
use crate::settings::Settings;

/// Looks up where partitions begin and end. Clients may share one. Its own read nothing: on the
/// connection of one who does, a look-up waits behind the request that waits for records.
pub(crate) struct Ends {
    client: BaseConsumer<Remarks>,
    /// Sees ends as one who reads committed records.
    committed: BaseConsumer<Remarks>,
    timeout: Duration,
}

impl Ends {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let client = |config: ClientConfig| {
            config.create_with_context(Remarks::default()).map_err(Error::client)
        };
        let (client, committed) = (client(settings.ends())?, client(settings.committed_ends())?);
        Ok(Ends { client, committed, timeout: settings.request_timeout })
    }

    /// One past the last record of each that can be read as committed: where a transaction is open,
    /// its first record.
    pub(crate) fn readable(
        &self,
        of: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Offset>, eventlog::Error> {
        pass_on(&self.committed);
        ends_of(&self.committed, of, rdkafka::Offset::End, timeout)
    }

    /// One past the last record of each, whether committed or not: the high watermark.
    pub(crate) fn ends(&self, of: &[TopicPartition]) -> Result<Vec<Offset>, eventlog::Error> {
        pass_on(&self.client);
        ends_of(&self.client, of, rdkafka::Offset::End, self.timeout)
    }

    /// The first offset of each that there still is, up to its end.
    pub(crate) fn extents(
        &self,
        of: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Range<Offset>>, eventlog::Error> {
        let begin = rdkafka::Offset::Beginning;
        let begins = ends_of(&self.client, of, begin, self.timeout)?;
        let ends = self.ends(of)?;
        let extents = begins.into_iter().zip(ends).map(|(begin, end)| begin..end);
        Ok(of.iter().copied().zip(extents).collect())
    }

    /// Checks that each position lies in its partition.
    pub(crate) fn check_range(
        &self,
        positions: &[(TopicPartition, Offset)],
    ) -> Result<(), eventlog::Error> {
        let of: Vec<TopicPartition> = positions.iter().map(|(of, _)| *of).collect();
        let extents = self.extents(&of)?;
        let is_out = |(of, position): &&(TopicPartition, Offset)| {
            let is_in =
                |extent: &Range<Offset>| *position == extent.end || extent.contains(position);
            !extents.get(of).is_some_and(is_in)
        };
        match positions.iter().find(is_out) {
            Some((of, position)) => {
                Err(eventlog::Error::OutOfRange { of: *of, position: *position })
            }
            None => Ok(()),
        }
    }
}

/// Where partitions begin or end, as this client sees it. Both logical offsets are what the broker
/// takes for the times of the last and of the first record, so one request answers for all
/// partitions of a broker.
pub(crate) fn ends_of<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    of: &[TopicPartition],
    which: rdkafka::Offset,
    timeout: Duration,
) -> Result<Vec<Offset>, eventlog::Error> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let asked = list(of.iter().map(|of| (*of, which))).map_err(unreachable)?;
    let found = client.offsets_for_times(asked, timeout).map_err(unreachable)?;
    let offset_of = |of: &TopicPartition| {
        answered(&found, *of)?.ok_or_else(|| unreachable(format!("no offset of {of}")))
    };
    of.iter().map(offset_of).collect()
}
