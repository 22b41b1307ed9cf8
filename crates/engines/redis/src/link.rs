//! The connection: made, watched, made anew; and what is subscribed on it.
//!
//! What is subscribed follows the hub: topics that were touched are compared with what is followed by then, so
//! it does not matter in which order ears came and went. Trap avoided: a server that stands still breaks no
//! connection; it is asked each second, and given up when it does not answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Msg, PushInfo, PushKind, RedisError};
use tokio::sync::{Notify, watch};
use volery_ports::bus::{Away, Hub, News, Topic};

use crate::names::{channel, read};

/// What a connection may take to be made, and a command to be answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often the server is asked whether it is there.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Between attempts: twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MOST: Duration = Duration::from_secs(2);
/// Channels of one command.
const CHANNELS_MOST: usize = 1_000;

/// See the module.
pub(crate) struct Link {
    client: redis::Client,
    pub(crate) hub: Mutex<Hub>,
    pub(crate) connection: watch::Sender<Result<MultiplexedConnection, Away>>,
    /// Topics whose subscription may have to change; none while there is no connection.
    touched: Mutex<HashSet<Topic>>,
    touching: Notify,
}

impl Link {
    pub(crate) fn new(client: redis::Client) -> Self {
        let connection = watch::Sender::new(Err(Away("not connected yet".to_owned())));
        Self { client, hub: Mutex::default(), connection, touched: Mutex::default(), touching: Notify::new() }
    }

    /// Somebody was the first to follow these, or the last to leave them.
    pub(crate) fn touch(&self, topics: &[Topic]) {
        if !topics.is_empty() && self.connection.borrow().is_ok() {
            self.touched.lock().extend(topics);
            self.touching.notify_one();
        }
    }

    /// A connection whose news go to the hub. Its end is told to `ended`.
    async fn connect(self: &Arc<Self>, ended: &Arc<Notify>) -> Result<MultiplexedConnection, RedisError> {
        let (link, ended) = (Arc::clone(self), Arc::clone(ended));
        let hear = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                ended.notify_one();
            } else {
                link.hear(push);
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_push_sender(hear);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn hear(&self, push: PushInfo) {
        let Some(message) = Msg::from_push_info(push) else { return };
        let payload = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
        match read(message.get_channel_name(), payload) {
            Some((topic, news)) => self.hub.lock().tell(topic, news),
            None => tracing::debug!(channel = message.get_channel_name(), "a message that is none of ours"),
        }
    }

    /// Serves on a new connection until it ends, and says why it did.
    async fn serve(&self, mut connection: MultiplexedConnection, ended: &Notify) -> Result<(), RedisError> {
        drop(self.connection.send_replace(Ok(connection.clone())));
        // Whatever is touched from here on is looked at besides.
        self.touched.lock().clear();
        let followed = self.hub.lock().topics();
        subscribe(&mut connection, &followed).await?;
        self.hub.lock().tell_all(News::Anew);
        loop {
            tokio::select! {
                () = ended.notified() => return Ok(()),
                () = self.touching.notified() => self.follow_hub(&mut connection).await?,
                () = tokio::time::sleep(ASK_EVERY) => redis::cmd("PING").query_async(&mut connection).await?,
            }
        }
    }

    async fn follow_hub(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let touched = std::mem::take(&mut *self.touched.lock());
        let (followed, left): (Vec<_>, Vec<_>) = {
            let hub = self.hub.lock();
            touched.into_iter().partition(|topic| hub.is_followed(*topic))
        };
        subscribe(connection, &followed).await?;
        for some in names(&left).chunks(CHANNELS_MOST) {
            connection.unsubscribe(some).await?;
        }
        Ok(())
    }
}

fn names(topics: &[Topic]) -> Vec<String> {
    topics.iter().copied().map(channel).collect()
}

async fn subscribe(connection: &mut MultiplexedConnection, topics: &[Topic]) -> Result<(), RedisError> {
    for some in names(topics).chunks(CHANNELS_MOST) {
        connection.subscribe(some).await?;
    }
    Ok(())
}

/// Keeps the link up, for ever.
pub(crate) async fn keep(link: Arc<Link>) {
    let mut pause = AGAIN_AFTER;
    loop {
        let ended = Arc::new(Notify::new());
        let why = match link.connect(&ended).await {
            Ok(connection) => {
                pause = AGAIN_AFTER;
                link.serve(connection, &ended).await.err()
            }
            Err(error) => Some(error),
        };
        let why = why.map_or_else(|| "the connection ended".to_owned(), |error| error.to_string());
        tracing::debug!(why, "Redis is away");
        let broke = link.connection.send_replace(Err(Away(why))).is_ok();
        if broke {
            // What was read is not kept up any more.
            link.hub.lock().tell_all(News::Anew);
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(AGAIN_AFTER_MOST);
    }
}
