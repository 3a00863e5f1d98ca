//! What librdkafka tells and `rdkafka` does not pass on, or only by a detour.
#![expect(unsafe_code, reason = "these functions of librdkafka have no safe wrapper")]

use std::ffi::CStr;

use krafka::consumer::ConsumerGroupMetadata;
use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_consumer_group_metadata, rd_kafka_consumer_group_metadata_destroy,
    rd_kafka_consumer_group_metadata_generation_id, rd_kafka_consumer_group_metadata_member_id,
    rd_kafka_position,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{IsError, KafkaError};

/// Who a consumer is in its group now, for a producer of another library: `rdkafka` hands it to its
/// own producers only. `None` before it has joined.
pub(crate) fn identity<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
) -> Option<ConsumerGroupMetadata> {
    // SAFETY: the client is alive for as long as `consumer` is borrowed, and the function may be
    // called from any thread. What it gives is ours until it is destroyed, once, below; until then
    // it holds the member's id, a string that ends with a zero.
    let (member, epoch) = unsafe {
        let metadata = rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let member = CStr::from_ptr(rd_kafka_consumer_group_metadata_member_id(metadata));
        let member = member.to_string_lossy().into_owned();
        let epoch = rd_kafka_consumer_group_metadata_generation_id(metadata);
        rd_kafka_consumer_group_metadata_destroy(metadata);
        (member, epoch)
    };
    let metadata = ConsumerGroupMetadata::new(group, epoch, member, None);
    metadata.is_fenceable().then_some(metadata)
}

/// A list of partitions with how far a consumer has read each. `rdkafka` asks for those of the
/// whole assignment, which takes a way to another thread and back.
pub(crate) fn positions<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    of: TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    // SAFETY: the client is alive for as long as `consumer` is borrowed, and the function may be
    // called from any thread. The list that it writes to is ours alone.
    let code = unsafe { rd_kafka_position(consumer.client().native_ptr(), of.ptr()) };
    if code.is_error() { Err(KafkaError::OffsetFetch(code.into())) } else { Ok(of) }
}
