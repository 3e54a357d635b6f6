//! Why a cluster refuses a topic, in its own words.
//!
//! rdkafka keeps the code of a refusal, such as `InvalidConfig`, and drops the broker's sentence, which names the
//! setting. So librdkafka is asked directly whether the topic could be created; nothing else is.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::ptr;
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::bindings as rd;
use rdkafka::client::DefaultClientContext;

use super::WantedTopic;

/// What the cluster has against `topic`, if it says so in time. Creates nothing. Blocks.
pub(super) fn reason(
    admin: &AdminClient<DefaultClientContext>,
    topic: &WantedTopic,
    patience: Duration,
) -> Option<String> {
    let name = CString::new(topic.name.as_str()).ok()?;
    let text = |text: &str| CString::new(text).ok();
    let settings = topic.settings.iter();
    let settings = settings.map(|(name, value)| Some((text(name)?, text(value)?)));
    let settings: Vec<(CString, CString)> = settings.collect::<Option<_>>()?;
    let partitions = topic.partitions.map_or(-1, |count| i32::from(count.get()));
    let copies = topic
        .replication_factor
        .map_or(-1, |count| i32::from(count.get()));
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    let mut error: [c_char; 512] = [0; 512];
    let (client, buffer, size) = (admin.inner().native_ptr(), error.as_mut_ptr(), error.len());
    // SAFETY: the client belongs to `admin`, which outlives the calls; all else is made here, used here, and destroyed
    // once, the topic, the options and the queue after the event that was made of them. Texts are read before the event that
    // owns them is destroyed.
    unsafe {
        let mut new = rd::rd_kafka_NewTopic_new(name.as_ptr(), partitions, copies, buffer, size);
        if new.is_null() {
            return None;
        }
        for (name, value) in &settings {
            rd::rd_kafka_NewTopic_set_config(new, name.as_ptr(), value.as_ptr());
        }
        let options =
            rd::rd_kafka_AdminOptions_new(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd::rd_kafka_AdminOptions_set_validate_only(options, 1, buffer, size);
        rd::rd_kafka_AdminOptions_set_request_timeout(options, patience, buffer, size);
        let queue = rd::rd_kafka_queue_new(client);
        rd::rd_kafka_CreateTopics(client, &mut new, 1, options, queue);
        let event = rd::rd_kafka_queue_poll(queue, patience);
        let mut said = None;
        if !event.is_null() {
            let mut count = 0;
            let result = rd::rd_kafka_event_CreateTopics_result(event);
            if !result.is_null() {
                let topics = rd::rd_kafka_CreateTopics_result_topics(result, &mut count);
                let text = match count {
                    0 => ptr::null(),
                    _ => rd::rd_kafka_topic_result_error_string(*topics),
                };
                if !text.is_null() {
                    said = Some(CStr::from_ptr(text).to_string_lossy().into_owned());
                }
            }
            rd::rd_kafka_event_destroy(event);
        }
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        rd::rd_kafka_NewTopic_destroy(new);
        said.filter(|text| !text.trim().is_empty())
    }
}
