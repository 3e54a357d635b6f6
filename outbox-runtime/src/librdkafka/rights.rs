//! Which right a refusal of Kafka's speaks of: its codes name neither the resource nor the operation.

use rdkafka::types::RDKafkaErrorCode as Code;

/// What was asked for when Kafka refused.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// To send records there.
    WriteTopic(&'a str),
    /// To look whether it is there, and whom it is led by.
    DescribeTopic(&'a str),
    /// To read its records.
    ReadTopic(&'a str),
    /// To create it.
    CreateTopic(&'a str),
    /// To be the producer of this transactional id.
    TransactionalId(&'a str),
    /// To be a member of this group.
    Group(&'a str),
}

impl Right<'_> {
    /// What to allow, as the end of a sentence; empty if the code speaks of something else.
    pub fn lacking(self, code: Code) -> String {
        let allow = |what: String| format!("; the login lacks a right: allow {what}");
        match (code, self) {
            (Code::TopicAuthorizationFailed, Self::WriteTopic(topic)) => {
                allow(format!("Write on the topic `{topic}`"))
            }
            (Code::TopicAuthorizationFailed, Self::DescribeTopic(topic)) => {
                allow(format!("Describe on the topic `{topic}`"))
            }
            (Code::TopicAuthorizationFailed, Self::ReadTopic(topic)) => {
                allow(format!("Read on the topic `{topic}`"))
            }
            (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed, Self::CreateTopic(topic)) => {
                allow(format!("Create on the topic `{topic}`"))
            }
            (Code::TransactionalIdAuthorizationFailed, Self::TransactionalId(id)) => {
                allow(format!("Write and Describe on the transactional id `{id}`"))
            }
            (Code::GroupAuthorizationFailed, Self::Group(group)) => {
                allow(format!("Read on the group `{group}`"))
            }
            // What a broker before 2.8 asks of an idempotent producer.
            (Code::ClusterAuthorizationFailed, Self::WriteTopic(_) | Self::TransactionalId(_)) => {
                allow("IdempotentWrite on the cluster `kafka-cluster`".to_owned())
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_resource_and_operation() {
        let says = Right::WriteTopic("shop.orders").lacking(Code::TopicAuthorizationFailed);
        assert!(says.contains("Write on the topic `shop.orders`"), "{says}");
        let says = Right::TransactionalId("outbox-1").lacking(Code::TransactionalIdAuthorizationFailed);
        assert!(
            says.contains("Describe on the transactional id `outbox-1`"),
            "{says}"
        );
        assert_eq!(Right::ReadTopic("t").lacking(Code::LeaderNotAvailable), "");
    }
}
