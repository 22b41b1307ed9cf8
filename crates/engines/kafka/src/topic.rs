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
    /// The topic was made for another number of partitions, in which nothing would be found.
    #[error("the topic has {found} partitions, not {wanted}")]
    Partitions {
        /// What there is.
        found: usize,
        /// What was configured.
        wanted: u16,
    },
    /// A setting of the topic, or of a broker, with which records or offsets could be lost.
    #[error("Kafka's {name} is {found}, it must be {wanted}")]
    Setting {
        /// As Kafka calls it.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
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

    fn check(self, name: &'static str, settings: &HashMap<String, String>) -> Result<(), OpenError> {
        let found = settings.get(name).cloned().unwrap_or_else(|| "not known".to_owned());
        let good = match self {
            Self::Is(value) => found == value,
            Self::AtLeast(least) => found.parse().is_ok_and(|found: u64| found >= least),
        };
        if good { Ok(()) } else { Err(OpenError::Setting { name, found, wanted: self.wanted() }) }
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

/// Makes sure that the topic is there and good.
pub(crate) async fn prepare(options: &Options) -> Result<(), OpenError> {
    let admin: Arc<Admin> = Arc::new(options.plain()?);
    let topic = options.topic();
    let metadata = match metadata(&admin, &topic).await? {
        Some(metadata) => metadata,
        None => create(&admin, options).await?,
    };
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    if partitions.len() != usize::from(options.partitions.count()) {
        return Err(OpenError::Partitions { found: partitions.len(), wanted: options.partitions.count() });
    }
    let copies = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
    let rules: Vec<_> = TOPIC.into_iter().chain([durability(copies)]).collect();
    check(&admin, ResourceSpecifier::Topic(&topic), &rules).await?;
    for broker in metadata.brokers() {
        check(&admin, ResourceSpecifier::Broker(broker.id()), &BROKER).await?;
    }
    Ok(())
}

/// What the cluster says of the topic; nothing if there is none or it has no leaders yet.
async fn metadata(admin: &Arc<Admin>, topic: &str) -> Result<Option<Metadata>, OpenError> {
    let (admin, topic) = (admin.clone(), topic.to_owned());
    let metadata = blocking(move || admin.inner().fetch_metadata(Some(&topic), DEADLINE)).await?;
    let known = metadata.topics().first().ok_or_else(|| OpenError::Unavailable("it says nothing".to_owned()))?;
    match known.error() {
        None if known.partitions().iter().all(|partition| partition.leader() >= 0) => Ok(Some(metadata)),
        None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(None),
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
        if let Some(metadata) = metadata(admin, &topic).await? {
            return Ok(metadata);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(OpenError::Unavailable("the new topic has no leaders".to_owned()))
}

async fn check(admin: &Admin, what: ResourceSpecifier<'_>, rules: &[(&'static str, Rule)]) -> Result<(), OpenError> {
    let deadline = AdminOptions::new().request_timeout(Some(DEADLINE));
    let mut settings = HashMap::new();
    for resource in admin.describe_configs([&what], &deadline).await? {
        let resource = resource.map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let known = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        settings.extend(known);
    }
    rules.iter().try_for_each(|(name, rule)| rule.check(name, &settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rules: &[(&'static str, Rule)]) -> HashMap<String, String> {
        rules.iter().map(|(name, rule)| ((*name).to_owned(), rule.value())).collect()
    }

    #[test]
    fn a_topic_of_ours_passes_and_any_other_value_is_named() {
        let ours = settings(&TOPIC);
        for (name, rule) in TOPIC {
            assert_eq!(rule.check(name, &ours), Ok(()));
            let mut other = ours.clone();
            other.insert(name.to_owned(), "1".to_owned());
            let expected = OpenError::Setting { name, found: "1".to_owned(), wanted: rule.wanted() };
            assert_eq!(rule.check(name, &other), Err(expected));
            other.remove(name);
            assert!(rule.check(name, &other).is_err(), "{name} is not known");
        }
    }

    #[test]
    fn the_topics_of_others_are_no_generations() {
        let of = |topic| generation_of(topic, "inbox");
        assert_eq!(["inbox.1", "inbox.12"].map(of), [Some(1), Some(12)]);
        let others = ["inbox", "inbox.", "inbox.0", "inbox.01", "inbox.+1", "inbox.1.1", "inboxes.1", "inbox.99999"];
        assert_eq!(others.map(of), [None; 8]);
    }

    #[test]
    fn one_copy_is_flushed_and_of_several_two_are_in_sync() {
        assert_eq!(durability(1).0, "flush.messages");
        let (name, rule) = durability(3);
        let set = |value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        assert!(rule.check(name, &set("1")).is_err() && rule.check(name, &set("3")).is_ok());
    }
}
