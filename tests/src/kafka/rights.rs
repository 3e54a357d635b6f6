//! Who may write to a topic: two requests of Kafka's protocol that rdkafka does not offer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Settings of a broker that can forbid topics, and allows what nobody forbade.
pub const RIGHTS: [(&str, &str); 2] = [
    (
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    ),
    ("allow.everyone.if.no.acl.found", "true"),
];

const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const VERSION: i16 = 1;

/// Nobody may write to the topic.
pub(super) async fn forbid(brokers: &str, topic: &str) {
    let answer = ask(brokers, CREATE_ACLS, &rule(topic)).await;
    // Behind the throttle time and the number of results.
    let code = i16::from_be_bytes([answer[8], answer[9]]);
    assert_eq!(code, 0, "{topic} could not be forbidden");
}

/// Everybody may again.
pub(super) async fn allow(brokers: &str, topic: &str) {
    let answer = ask(brokers, DELETE_ACLS, &rule(topic)).await;
    let code = i16::from_be_bytes([answer[8], answer[9]]);
    assert_eq!(code, 0, "{topic} could not be allowed");
}

/// One rule, which reads the same whether it is made or looked for: topic, its exact name, everybody, from
/// anywhere, write, deny.
fn rule(topic: &str) -> Vec<u8> {
    let mut body = 1i32.to_be_bytes().to_vec();
    body.push(2);
    string(&mut body, topic);
    body.push(3);
    string(&mut body, "User:*");
    string(&mut body, "*");
    body.extend([4, 2]);
    body
}

fn string(body: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("names are short");
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
}

async fn ask(brokers: &str, request: i16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend(request.to_be_bytes());
    message.extend(VERSION.to_be_bytes());
    message.extend(1i32.to_be_bytes());
    string(&mut message, "tests");
    message.extend(body);
    let mut broker = TcpStream::connect(brokers).await.expect("the broker listens");
    let length = i32::try_from(message.len()).expect("requests are short");
    broker.write_all(&length.to_be_bytes()).await.unwrap();
    broker.write_all(&message).await.unwrap();
    let length = broker.read_i32().await.expect("the broker answers");
    let mut answer = vec![0; usize::try_from(length).expect("a length")];
    broker.read_exact(&mut answer).await.unwrap();
    // Behind the number of the request.
    answer.split_off(4)
}
