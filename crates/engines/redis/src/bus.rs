//! The port on a link: what is said goes out in pipelines, what is asked in one command.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{IntoConnectionInfo as _, Pipeline, ProtocolVersion, RedisError};
use tokio::task::JoinHandle;
use volery_kernel::id::UserId;
use volery_ports::bus::{Away, Bus, Ear, EarId, Heard, Presence, Said, Topic};

use crate::link::{self, Link};
use crate::names::{channel, key, presence, presence_text, typing_text};

/// Commands of one pipeline.
const PIPELINE_MOST: usize = 4_096;
/// A bus that opens waits this long for Redis, so that health is right from the start; then it goes on without.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct Options {
    /// `redis://host:port`, or `redis://user@host:port`.
    pub url: String,
    /// The password, if it wants one.
    pub password: Option<String>,
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no address.
    #[error("{url} is no URL of Redis: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

/// See the crate.
pub struct RedisBus {
    link: Arc<Link>,
    keeping: JoinHandle<()>,
}

impl RedisBus {
    /// Begins to connect; if Redis is away, it is tried again for as long as the bus is there.
    ///
    /// # Errors
    /// [`OpenError`]: the options cannot be used. Never that Redis is away.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let client =
            client(options).map_err(|error| OpenError::Url { url: options.url.clone(), why: error.to_string() })?;
        let link = Arc::new(Link::new(client));
        let mut connection = link.connection.subscribe();
        let keeping = tokio::spawn(link::keep(Arc::clone(&link)));
        // Whether it is there or not, it is known now; or it takes longer than anybody should wait.
        let _ = tokio::time::timeout(FIRST_WITHIN, connection.changed()).await;
        Ok(Self { link, keeping })
    }

    fn connection(&self) -> Result<MultiplexedConnection, Away> {
        self.link.connection.borrow().clone()
    }
}

fn client(options: &Options) -> Result<redis::Client, RedisError> {
    let info = options.url.as_str().into_connection_info()?;
    let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if let Some(password) = &options.password {
        settings = settings.set_password(password);
    }
    redis::Client::open(info.set_redis_settings(settings))
}

fn away(error: RedisError) -> Away {
    Away(error.to_string())
}

#[async_trait]
impl Bus for RedisBus {
    fn listen(&self, heard: Heard) -> Box<dyn Ear> {
        let id = self.link.hub.lock().listen(heard);
        Box::new(RedisEar { link: Arc::clone(&self.link), id })
    }

    async fn say(&self, batch: Vec<Said>) -> Result<(), Away> {
        let mut connection = self.connection()?;
        let mut pipelines = vec![(Pipeline::new(), 0)];
        batch.into_iter().for_each(|said| add(said, &mut pipelines));
        for (pipeline, _) in pipelines.into_iter().filter(|(_, commands)| *commands > 0) {
            pipeline.query_async::<()>(&mut connection).await.map_err(away)?;
        }
        Ok(())
    }

    async fn presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Away> {
        let mut connection = self.connection()?;
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = users.iter().copied().map(key).collect();
        let held: Vec<Option<String>> =
            redis::cmd("MGET").arg(keys).query_async(&mut connection).await.map_err(away)?;
        Ok(held.iter().map(|text| text.as_deref().map_or(Presence::Unknown, presence)).collect())
    }
}

/// Adds the commands of one message to the last pipeline, or to a new one.
fn add(said: Said, pipelines: &mut Vec<(Pipeline, usize)>) {
    let mut command = |command: redis::Cmd| {
        if pipelines.last().is_none_or(|(_, commands)| *commands >= PIPELINE_MOST) {
            pipelines.push((Pipeline::new(), 0));
        }
        if let Some((pipeline, commands)) = pipelines.last_mut() {
            pipeline.add_command(command).ignore();
            *commands += 1;
        }
    };
    match said {
        Said::Typing { partition, to, from } => {
            command(publish(Topic::Typing(partition), &typing_text(to, from)));
        }
        Said::Changed { user, presence, keep_ms } => {
            let text = presence_text(presence);
            command(match presence {
                Presence::Unknown => redis::cmd("DEL").arg(key(user)).clone(),
                Presence::Online | Presence::Seen(_) => keep(user, &text, keep_ms),
            });
            command(publish(Topic::Presence(user), &text));
        }
        Said::Renewed { users, keep_ms } => {
            let online = presence_text(Presence::Online);
            users.into_iter().for_each(|user| command(keep(user, &online, keep_ms)));
        }
    }
}

fn keep(user: UserId, text: &str, keep_ms: u64) -> redis::Cmd {
    redis::cmd("SET").arg(key(user)).arg(text).arg("PX").arg(keep_ms.max(1)).clone()
}

fn publish(topic: Topic, text: &str) -> redis::Cmd {
    redis::cmd("PUBLISH").arg(channel(topic)).arg(text).clone()
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

struct RedisEar {
    link: Arc<Link>,
    id: EarId,
}

impl Ear for RedisEar {
    fn follow(&self, topics: &[Topic]) {
        let first = self.link.hub.lock().follow(self.id, topics);
        self.link.touch(&first);
    }

    fn leave(&self, topics: &[Topic]) {
        let last = self.link.hub.lock().leave(self.id, topics);
        self.link.touch(&last);
    }
}

impl Drop for RedisEar {
    fn drop(&mut self) {
        let last = self.link.hub.lock().end(self.id);
        self.link.touch(&last);
    }
}
