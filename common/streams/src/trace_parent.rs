//! To which trace a record belongs: W3C "Trace Context", section 3.2, the header `traceparent`.

use bytes::Bytes;

use crate::record::ConsumedRecord;

/// The value of a header `traceparent`: a trace, and the span in it that something is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not 0.
    pub trace_id: u128,
    /// The span; not 0.
    pub span_id: u64,
    /// What else there is to know, such as [`TraceParent::SAMPLED`].
    pub flags: u8,
}

impl TraceParent {
    /// The flag of a trace that is recorded.
    pub const SAMPLED: u8 = 1;

    /// Reads a header. Of a version to come, as much as is known of it. What is not valid is
    /// `None`, as if there were no header.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(header).ok()?.splitn(5, '-');
        let mut number = |digits| parts.next().and_then(|part| hexadecimal(part, digits));
        let (version, trace_id) = (number(2)?, number(32)?);
        let (span_id, flags) = (number(16)? as u64, number(2)? as u8);
        let is_known = version != 0xff && (version > 0 || parts.next().is_none());
        let has_ids = trace_id > 0 && span_id > 0;
        (is_known && has_ids).then_some(TraceParent { trace_id, span_id, flags })
    }

    /// Whether whoever began the trace has it recorded.
    pub const fn is_sampled(&self) -> bool {
        self.flags & TraceParent::SAMPLED > 0
    }

    /// What a service does for a record: a span of the same trace. Its id follows from the two
    /// alone, so that whatever is made of the record again is the same to the byte.
    #[must_use]
    pub fn processing(self, service: &str, record: &ConsumedRecord) -> Self {
        let (source, offset) = (record.source, record.offset);
        let mut hash = Fnv::default();
        for part in [service, source.topic.as_str()] {
            hash.add(part.as_bytes());
            // No name has it: parts never run together.
            hash.add(&[0]);
        }
        hash.add(&source.partition.0.to_be_bytes());
        hash.add(&offset.0.to_be_bytes());
        TraceParent { span_id: hash.0.max(1), ..self }
    }

    /// As a header says it.
    pub fn to_header(self) -> Bytes {
        let TraceParent { trace_id, span_id, flags } = self;
        Bytes::from(format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}"))
    }
}

/// The number that is written in so many digits as the header has them: no capitals, no sign.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.len() == digits && text.bytes().all(is_digit);
    u128::from_str_radix(text, 16).ok().filter(|_| is_number)
}

/// The hash FNV-1a: the same on every machine and in every version.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use timestamp::Timestamp;

    use super::*;
    use crate::record::{Headers, Offset, Partition, TopicName, TopicPartition};

    const HEADER: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn record(topic: &'static str, partition: u32, offset: u64) -> ConsumedRecord {
        ConsumedRecord {
            source: TopicPartition::new(TopicName::new(topic), Partition(partition)),
            offset: Offset(offset),
            timestamp: Timestamp::EPOCH,
            key: None,
            value: None,
            headers: Headers::default(),
        }
    }

    #[test]
    fn a_header_is_read_and_written_as_it_was() {
        let parent = TraceParent::parse(HEADER).unwrap();

        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.to_header(), HEADER);
    }

    #[test]
    fn a_trace_is_recorded_where_the_last_flag_says_so() {
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("0b", true)] {
            let header = [&HEADER[..53], flags.as_bytes()].concat();
            assert_eq!(TraceParent::parse(&header).unwrap().is_sampled(), is_sampled, "{flags}");
        }
    }

    #[test]
    fn a_header_of_a_later_version_is_read_as_far_as_it_is_known() {
        let later = [b"01", &HEADER[2..], b"-more"].concat();
        assert_eq!(TraceParent::parse(&later).unwrap().to_header(), HEADER);
    }

    #[test]
    fn what_is_no_header_is_as_none() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn each_record_has_a_span_of_its_own_in_each_service_the_same_each_time() {
        let parent = TraceParent::parse(HEADER).unwrap();
        let spans = [
            parent.processing("orders", &record("lines", 1, 2)),
            parent.processing("order", &record("slines", 1, 2)),
            parent.processing("orders", &record("line", 1, 2)),
            parent.processing("orders", &record("lines", 2, 1)),
            parent.processing("orders", &record("lines", 1, 3)),
        ];

        for (number, span) in spans.iter().enumerate() {
            assert_eq!((span.trace_id, span.flags), (parent.trace_id, parent.flags));
            assert_ne!(span.span_id, parent.span_id);
            assert!(spans[..number].iter().all(|before| before != span), "{spans:?}");
        }
        // Made once: a later version must make the same.
        let header = b"00-4bf92f3577b34da6a3ce929d0e0e4736-9ed822f2b0986e24-01";
        assert_eq!(spans[0].to_header(), &header[..]);
    }
}
