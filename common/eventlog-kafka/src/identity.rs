//! Who a consumer is in its group, for a producer of another library: `rdkafka` hands it to its own
//! producers only.
#![expect(unsafe_code, reason = "the functions of librdkafka that tell it have no safe wrapper")]

use std::ffi::CStr;

use krafka::consumer::ConsumerGroupMetadata;
use rdkafka::bindings::{
    rd_kafka_consumer_group_metadata, rd_kafka_consumer_group_metadata_destroy,
    rd_kafka_consumer_group_metadata_generation_id, rd_kafka_consumer_group_metadata_member_id,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

/// Who a consumer is in its group now. `None` before it has joined.
pub(crate) fn of<C: ConsumerContext>(
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
