//! The topic: made if it is not there, and refused if anything about it could break a promise.
//!
//! Kafka's defaults delete after a week, stamp with the producer's clock, and forget the offsets of a
//! reader that committed nothing for a week. None of that is noticed until it has happened, so it is
//! looked at before the first record.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaRespErr;
use tokio::time::{Duration, Instant, sleep};

use crate::offsets::blocking;
use crate::options::{BATCH_MOST, DEADLINE, Options};

type Admin = AdminClient<DefaultClientContext>;

/// Why the log was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Try again later.
    #[error("Kafka cannot be reached or does not answer: {0}")]
    Unavailable(String),
    /// A question that is not allowed is answered as one about what is not known yet: with nothing.
    #[error(
        "Kafka does not say how {of} is set: it does not know it yet, then a later start works; or this client may not \
         ask, then it needs DescribeConfigs on {}", .of.resource_name()
    )]
    Untold {
        /// What it was asked about.
        of: Owner,
    },
    /// The topic was made for another number of partitions, in which nothing would be found.
    #[error("the topic has {found} partitions, not {wanted}")]
    Partitions {
        /// What there is.
        found: usize,
        /// What was configured.
        wanted: u16,
    },
    /// The topic has fewer copies than were asked for: a broker that dies could take records along.
    #[error(
        "a partition of the topic has {found} copies, not the {wanted} of log.kafka_copies; \
         kafka-reassign-partitions adds them"
    )]
    Copies {
        /// The fewest that any partition has.
        found: usize,
        /// What was configured.
        wanted: u16,
    },
    /// A setting of the topic, or of a broker, with which records or offsets could be lost.
    #[error("Kafka's {name} of {of} is {found}, it must be {wanted}; {}", .of.remedy())]
    Setting {
        /// Whose it is.
        of: Owner,
        /// As Kafka calls it.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
}

/// Whose setting it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The topic of this name.
    Topic(String),
    /// The broker of this number.
    Broker(i32),
}

impl Owner {
    fn resource(&self) -> ResourceSpecifier<'_> {
        match self {
            Self::Topic(name) => ResourceSpecifier::Topic(name),
            Self::Broker(number) => ResourceSpecifier::Broker(*number),
        }
    }

    /// As Kafka's permissions name it.
    const fn resource_name(&self) -> &'static str {
        match self {
            Self::Topic(_) => "the topic",
            Self::Broker(_) => "the cluster",
        }
    }

    /// How an operator changes a setting of it.
    const fn remedy(&self) -> &'static str {
        match self {
            Self::Topic(_) => "kafka-configs --entity-type topics --alter changes it",
            Self::Broker(_) => "change it in the broker's server.properties, and start the broker anew",
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "the topic {name}"),
            Self::Broker(number) => write!(f, "broker {number}"),
        }
    }
}

impl From<KafkaError> for OpenError {
    fn from(error: KafkaError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What a setting must be.
#[derive(Clone, Copy)]
enum Rule {
    Is(&'static str),
    AtLeast(u64),
}

const MINUTES_OF_A_YEAR: u64 = 366 * 24 * 60;

const TOPIC: [(&str, Rule); 6] = [
    ("cleanup.policy", Rule::Is("delete")),
    ("retention.ms", Rule::Is("-1")),
    ("retention.bytes", Rule::Is("-1")),
    ("message.timestamp.type", Rule::Is("LogAppendTime")),
    ("unclean.leader.election.enable", Rule::Is("false")),
    ("max.message.bytes", Rule::AtLeast(BATCH_MOST as u64)),
];

const BROKER: [(&str, Rule); 1] = [("offsets.retention.minutes", Rule::AtLeast(MINUTES_OF_A_YEAR))];

/// Acknowledged means durable: on the disk of one, or with two of several.
fn durability(copies: usize) -> (&'static str, Rule) {
    if copies < 2 { ("flush.messages", Rule::Is("1")) } else { ("min.insync.replicas", Rule::AtLeast(2)) }
}

impl Rule {
    fn wanted(self) -> String {
        match self {
            Self::Is(value) => value.to_owned(),
            Self::AtLeast(least) => format!("{least} or more"),
        }
    }

    /// The value for a new topic.
    fn value(self) -> String {
        match self {
            Self::Is(value) => value.to_owned(),
            Self::AtLeast(least) => least.to_string(),
        }
    }

    fn check(self, of: &Owner, name: &'static str, settings: &HashMap<String, String>) -> Result<(), OpenError> {
        let found = settings.get(name).cloned().unwrap_or_else(|| "not known".to_owned());
        let good = match self {
            Self::Is(value) => found == value,
            Self::AtLeast(least) => found.parse().is_ok_and(|found: u64| found >= least),
        };
        if good { Ok(()) } else { Err(OpenError::Setting { of: of.clone(), name, found, wanted: self.wanted() }) }
    }
}

/// The newest generation that has a topic, if any has: the topics themselves say which counts, so that all
/// who reach the brokers agree.
pub(crate) async fn newest_generation(options: &Options) -> Result<Option<u16>, OpenError> {
    let admin: Arc<Admin> = Arc::new(options.plain()?);
    let metadata = blocking(move || admin.inner().fetch_metadata(None, DEADLINE)).await?;
    let names = metadata.topics().iter().map(|topic| topic.name());
    Ok(names.filter_map(|name| generation_of(name, &options.name)).max())
}

/// The generation of a topic of this name; nothing for the topics of others.
fn generation_of(topic: &str, name: &str) -> Option<u16> {
    let number = topic.strip_prefix(name)?.strip_prefix('.')?;
    number.parse().ok().filter(|generation: &u16| *generation > 0 && generation.to_string() == number)
}

/// The id of the cluster, which it gave itself when it was made. The topic is not asked for: brokers may make one of
/// which they are asked.
pub(crate) async fn cluster(options: &Options) -> Result<String, OpenError> {
    let admin: Admin = options.plain()?;
    let id = blocking(move || {
        admin.inner().fetch_metadata(None, DEADLINE)?;
        Ok(admin.inner().fetch_cluster_id(DEADLINE))
    });
    id.await?.ok_or_else(|| OpenError::Unavailable("it does not say which cluster it is".to_owned()))
}

/// Makes sure that the topic is there and good; on a cluster whose brokers are not good, none is made.
pub(crate) async fn prepare(options: &Options) -> Result<(), OpenError> {
    let admin: Arc<Admin> = Arc::new(options.plain()?);
    let topic = options.topic();
    let known = metadata(&admin, &topic).await?;
    for broker in known.brokers() {
        check(&admin, &Owner::Broker(broker.id()), &BROKER).await?;
    }
    let metadata = if is_led(&known)? { known } else { create(&admin, options).await? };
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    if partitions.len() != usize::from(options.partitions.count()) {
        return Err(OpenError::Partitions { found: partitions.len(), wanted: options.partitions.count() });
    }
    let copies = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
    if copies < usize::from(options.copies) {
        return Err(OpenError::Copies { found: copies, wanted: options.copies });
    }
    let rules: Vec<_> = TOPIC.into_iter().chain([durability(copies)]).collect();
    check(&admin, &Owner::Topic(topic), &rules).await
}

/// What the cluster says of itself and of the topic.
async fn metadata(admin: &Arc<Admin>, topic: &str) -> Result<Metadata, OpenError> {
    let (admin, topic) = (admin.clone(), topic.to_owned());
    Ok(blocking(move || admin.inner().fetch_metadata(Some(&topic), DEADLINE)).await?)
}

/// Whether there is such a topic, with a leader for each partition.
fn is_led(metadata: &Metadata) -> Result<bool, OpenError> {
    let topic = metadata.topics().first().ok_or_else(|| OpenError::Unavailable("it says nothing".to_owned()))?;
    match topic.error() {
        None => Ok(topic.partitions().iter().all(|partition| partition.leader() >= 0)),
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(false),
        Some(error) => Err(OpenError::Unavailable(RDKafkaErrorCode::from(error).to_string())),
    }
}

/// Creates the topic, unless another did, and waits until its partitions have leaders.
async fn create(admin: &Arc<Admin>, options: &Options) -> Result<Metadata, OpenError> {
    let topic = options.topic();
    let settings: Vec<_> = TOPIC.into_iter().chain([durability(usize::from(options.copies))]).collect();
    let settings: Vec<_> = settings.into_iter().map(|(name, rule)| (name, rule.value())).collect();
    let copies = TopicReplication::Fixed(i32::from(options.copies));
    let new = NewTopic::new(&topic, i32::from(options.partitions.count()), copies);
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    let deadline = AdminOptions::new().operation_timeout(Some(DEADLINE)).request_timeout(Some(DEADLINE));
    for result in admin.create_topics([&new], &deadline).await? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, error)) => return Err(OpenError::Unavailable(error.to_string())),
        }
    }
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        let metadata = metadata(admin, &topic).await?;
        if is_led(&metadata)? {
            return Ok(metadata);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(OpenError::Unavailable("the new topic has no leaders".to_owned()))
}

async fn check(admin: &Admin, of: &Owner, rules: &[(&'static str, Rule)]) -> Result<(), OpenError> {
    let settings = settings(admin, of).await?;
    rules.iter().try_for_each(|(name, rule)| rule.check(of, name, &settings))
}

/// What is set. Any broker may be asked, and one that has not heard of a new topic yet tells nothing of it: it is
/// asked again until it has.
async fn settings(admin: &Admin, of: &Owner) -> Result<HashMap<String, String>, OpenError> {
    let deadline = AdminOptions::new().request_timeout(Some(DEADLINE));
    let until = Instant::now() + DEADLINE;
    loop {
        let told = admin.describe_configs([&of.resource()], &deadline).await?;
        let told: Vec<_> = told.into_iter().flatten().flat_map(|resource| resource.entries).collect();
        if !told.is_empty() {
            return Ok(told.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect());
        }
        if Instant::now() >= until {
            return Err(OpenError::Untold { of: of.clone() });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a broker, a topic with one copy and one with three must have, and a value that is refused.
    const SETTINGS: [(&str, &str, &str); 9] = [
        ("cleanup.policy", "delete", "compact"),
        ("retention.ms", "-1", "604800000"),
        ("retention.bytes", "-1", "1073741824"),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("unclean.leader.election.enable", "false", "true"),
        ("max.message.bytes", "2097152", "2097151"),
        ("offsets.retention.minutes", "527040", "10080"),
        ("flush.messages", "1", "2"),
        ("min.insync.replicas", "2", "1"),
    ];

    #[test]
    fn settings_of_ours_pass_and_any_other_is_named() {
        let rules: Vec<_> = TOPIC.into_iter().chain(BROKER).chain([durability(1), durability(3)]).collect();
        assert_eq!(rules.iter().map(|(name, _)| *name).collect::<Vec<_>>(), SETTINGS.map(|(name, ..)| name));
        let of = Owner::Broker(7);
        for ((name, rule), (_, good, bad)) in rules.into_iter().zip(SETTINGS) {
            let check = |value: &str| rule.check(&of, name, &HashMap::from([(name.to_owned(), value.to_owned())]));
            assert_eq!((rule.value().as_str(), check(good)), (good, Ok(())), "{name}");
            let (found, wanted) = (bad.to_owned(), rule.wanted());
            assert_eq!(check(bad), Err(OpenError::Setting { of: of.clone(), name, found, wanted }));
            assert!(rule.check(&of, name, &HashMap::new()).is_err(), "{name} is not known");
        }
    }

    #[test]
    fn a_refusal_says_whose_setting_it_is_and_what_to_do() {
        let (name, rule) = BROKER[0];
        let said = |of: Owner| rule.check(&of, name, &HashMap::new()).expect_err("not known").to_string();
        assert_eq!(
            said(Owner::Broker(7)),
            "Kafka's offsets.retention.minutes of broker 7 is not known, it must be 527040 or more; \
             change it in the broker's server.properties, and start the broker anew"
        );
        assert!(said(Owner::Topic("inbox.1".to_owned())).contains("of the topic inbox.1 is not known"));
        let untold = OpenError::Untold { of: Owner::Broker(7) }.to_string();
        assert!(untold.contains("how broker 7 is set") && untold.ends_with("needs DescribeConfigs on the cluster"));
    }

    #[test]
    fn the_topics_of_others_are_no_generations() {
        let of = |topic| generation_of(topic, "inbox");
        assert_eq!(["inbox.1", "inbox.12"].map(of), [Some(1), Some(12)]);
        let others = ["inbox", "inbox.", "inbox.0", "inbox.01", "inbox.+1", "inbox.1.1", "inboxes.1", "inbox.99999"];
        assert_eq!(others.map(of), [None; 8]);
    }
}
