//! Carrying out what the core decides: store, send, connect, refresh.

use super::*;

impl Client {
    pub(super) fn now(&self) -> Timestamp {
        let millis = self.began.elapsed().as_millis();
        // Anything but 0, which means "never".
        Timestamp(u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1))
    }

    pub(super) fn core(&mut self, input: impl FnOnce(&mut Core, &mut Turn)) -> Result<News, StoreError> {
        self.step(|device, turn| device.input(turn, input))
    }

    pub(super) fn step(&mut self, input: impl FnOnce(&mut Device, &mut Turn)) -> Result<News, StoreError> {
        let mut turn = Turn::new(self.now(), self.random.next_u64());
        input(&mut self.device, &mut turn);
        let mut news = News::default();
        for effect in turn.effects {
            match effect {
                Effect::Store(changes) => self.store.keep(changes)?,
                Effect::Connect { socket, address } => self.connect(socket, address),
                Effect::Send { socket, request, message } => self.write(socket, request, &message),
                Effect::Close(socket) => self.outgoing = self.outgoing.take().filter(|(open, _)| *open != socket),
                Effect::Token => self.refresh(),
                Effect::Ended(ended) => news.ended.push(ended),
                Effect::Link(Link::Syncing | Link::Synced) => self.offline_since = None,
                Effect::Link(_) => {
                    self.offline_since.get_or_insert_with(Self::wall);
                }
                Effect::Reset => {}
            }
        }
        Ok(news)
    }

    /// A frame for which there is no room ends the socket: its task sees that nobody writes to it.
    pub(super) fn write(&mut self, socket: SocketId, request: u64, message: &Request<'_>) {
        let Some((_, outgoing)) = self.outgoing.as_ref().filter(|(open, _)| *open == socket) else { return };
        if outgoing.try_send(encode_request(Encoding::MessagePack, request, message)).is_err() {
            self.outgoing = None;
            self.tell_later(Incoming::Socket(socket, Told::Lost(Loss::Broken)));
        }
    }

    pub(super) fn tell_later(&self, happened: Incoming) {
        let sender = self.happened.clone();
        tokio::spawn(async move {
            let _ = sender.send(happened).await;
        });
    }

    pub(super) fn connect(&mut self, socket: SocketId, address: Option<String>) {
        self.outgoing = None;
        let ((api, token), happened, not) = (self.api(), self.happened.clone(), self.not_at.clone());
        tokio::spawn(async move {
            let open = match open(&api, &token, address, not).await {
                Ok(open) => open,
                Err(unopened) => {
                    let _ = happened.send(Incoming::Unopened(socket, unopened)).await;
                    return;
                }
            };
            let (outgoing, frames) = mpsc::channel(OUTGOING);
            if happened.send(Incoming::Opened(socket, outgoing)).await.is_ok() {
                socket::run(open, frames, happened, move |told| Incoming::Socket(socket, told)).await;
            }
        });
    }

    pub(super) fn refresh(&self) {
        let (api, happened) = (self.api.clone(), self.happened.clone());
        let token = self.account.grant.refresh_token.clone();
        tokio::spawn(async move {
            let _ = happened.send(Incoming::Tokens(api.refresh(&token).await)).await;
        });
    }
}
