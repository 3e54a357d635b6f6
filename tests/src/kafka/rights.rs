//! Who may do what: two requests of Kafka's protocol that rdkafka does not offer.

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

/// Settings of a broker that allows those without a login everything, and others what they were granted.
pub const GRANTED_RIGHTS: [(&str, &str); 2] = [RIGHTS[0], ("super.users", "User:ANONYMOUS")];

const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;
const VERSION: i16 = 1;

/// What a right is to, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Resource {
    /// A topic.
    Topic = 2,
    /// A consumers' group.
    Group = 3,
    /// The cluster.
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
}

/// What a right allows, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Allows to describe, too.
    Read = 3,
    /// Allows to describe, too.
    Write = 4,
    /// To create.
    Create = 5,
    /// To see that it is there.
    Describe = 8,
    /// To read settings.
    DescribeConfigs = 10,
}

impl Operation {
    fn named(name: &str) -> Self {
        match name {
            "Read" => Self::Read,
            "Write" => Self::Write,
            "Create" => Self::Create,
            "Describe" => Self::Describe,
            "DescribeConfigs" => Self::DescribeConfigs,
            other => panic!("kafka-acls.sh knows no operation {other}, or it is not granted"),
        }
    }
}

/// A right of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// To what kind of thing.
    pub resource: Resource,
    /// Its name, or what names begin with.
    pub name: String,
    /// Whether the name is only their beginning.
    pub prefixed: bool,
    /// What is allowed.
    pub operation: Operation,
}

impl Right {
    /// The rights that a line of `kafka-acls.sh` gives to this principal, written as `outbox generate acls` writes it.
    ///
    /// # Panics
    /// If there is a word that Kafka's program does not know, or that stands for something else.
    pub fn of_command(line: &str, principal: &str) -> Vec<Self> {
        let words = line
            .strip_prefix("kafka-acls.sh --bootstrap-server \"$BOOTSTRAP_SERVER\" \"$@\" --add ")
            .expect("the command adds rights");
        let words: Vec<&str> = words.split(' ').map(|word| word.trim_matches('\'')).collect();
        let (mut names, mut operations, mut prefixed) = (Vec::new(), Vec::new(), false);
        let mut words = words.into_iter();
        while let Some(option) = words.next() {
            let mut value = || words.next().expect("the option has a value");
            match option {
                "--allow-principal" => assert_eq!(value(), principal),
                "--operation" => operations.push(Operation::named(value())),
                "--topic" => names.push((Resource::Topic, value())),
                "--group" => names.push((Resource::Group, value())),
                "--transactional-id" => names.push((Resource::TransactionalId, value())),
                // Kafka's name for the only one.
                "--cluster" => names.push((Resource::Cluster, "kafka-cluster")),
                "--resource-pattern-type" => {
                    assert_eq!(value(), "prefixed");
                    prefixed = true;
                }
                other => panic!("kafka-acls.sh has no {other}"),
            }
        }
        let of_name = |(resource, name): (Resource, &str)| {
            let right = move |operation| (resource, name.to_owned(), operation);
            operations.iter().copied().map(right).collect::<Vec<_>>()
        };
        let rights = names.into_iter().flat_map(of_name);
        rights
            .map(|(resource, name, operation)| Self {
                resource,
                name,
                prefixed,
                operation,
            })
            .collect()
    }

    /// The user has it from now on.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn grant(&self, brokers: &str, user: &str) {
        change(brokers, CREATE_ACLS, &self.rule(user)).await;
    }

    /// The user no longer has it.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn revoke(&self, brokers: &str, user: &str) {
        change(brokers, DELETE_ACLS, &self.rule(user)).await;
    }

    fn rule(&self, user: &str) -> Vec<u8> {
        let pattern = match self.prefixed {
            true => PREFIXED,
            false => LITERAL,
        };
        let principal = format!("User:{user}");
        rule(
            (self.resource as u8, &self.name, pattern),
            &principal,
            (self.operation as u8, ALLOW),
        )
    }
}

const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
const DENY: u8 = 2;
const ALLOW: u8 = 3;

/// Nobody may write to the topic.
pub(super) async fn forbid(brokers: &str, topic: &str) {
    change(brokers, CREATE_ACLS, &nobody_writes(topic)).await;
}

/// Everybody may again.
pub(super) async fn allow(brokers: &str, topic: &str) {
    change(brokers, DELETE_ACLS, &nobody_writes(topic)).await;
}

fn nobody_writes(topic: &str) -> Vec<u8> {
    let resource = (Resource::Topic as u8, topic, LITERAL);
    rule(resource, "User:*", (Operation::Write as u8, DENY))
}

async fn change(brokers: &str, request: i16, rule: &[u8]) {
    let answer = ask(brokers, request, rule).await;
    // Behind the throttle time and the number of results.
    let code = i16::from_be_bytes([answer[8], answer[9]]);
    assert_eq!(code, 0, "the rights could not be changed");
}

/// One rule, which reads the same whether it is made or looked for: kind of thing, name, how the name is meant, who, from
/// anywhere, what, whether it is allowed.
fn rule(
    (resource, name, pattern): (u8, &str, u8),
    principal: &str,
    (operation, permission): (u8, u8),
) -> Vec<u8> {
    let mut body = 1i32.to_be_bytes().to_vec();
    body.push(resource);
    string(&mut body, name);
    body.push(pattern);
    string(&mut body, principal);
    string(&mut body, "*");
    body.extend([operation, permission]);
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
