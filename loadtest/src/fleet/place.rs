//! Where a device is connected: it finds its user's node, notices when a session there is gone, and why.
//!
//! The address that the log-in named is used first, then the one that `moved` named. When no socket can be opened
//! there, a gateway is asked. Trap avoided: a session that is lost before it was caught up is no second move; the
//! first loss counts until `synced`.

use std::task::{Context, Poll};

use futures::future::LocalBoxFuture;
use volery_client::core::{Loss, SocketId};
use volery_client::shell::ApiError;
use volery_door::socket::Socket;

use super::unit::Unit;
use crate::link::connect_from;
use crate::moves::{Loss as Lost, Why};

/// Opens a socket, and says at which node.
pub(super) type Opening = LocalBoxFuture<'static, Result<(Socket, String), Unopened>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Where to connect, if that is known.
    node: Option<String>,
    /// Where no socket could be opened.
    not_at: Option<String>,
    /// Where the socket is.
    socket: Option<usize>,
    /// Where the session is.
    session: Option<usize>,
    /// `moved` came on this socket.
    told: bool,
    /// A session is gone, and the device not caught up since.
    lost: Option<Lost>,
}

impl Place {
    /// Where its first session is to be.
    pub(super) fn new(node: String) -> Self {
        Self { node: Some(node), ..Self::default() }
    }

    /// The node of the session, by its number.
    pub(super) fn session(&self) -> Option<usize> {
        self.session
    }

    /// The socket is one of node number `at`.
    fn opened(&mut self, address: String, at: usize) {
        (self.node, self.not_at) = (Some(address), None);
        (self.socket, self.told) = (Some(at), false);
    }

    /// No socket there: the address is good no longer.
    fn unopened(&mut self, at: Option<String>) {
        (self.node, self.not_at) = (None, at);
    }

    pub(super) fn welcomed(&mut self) {
        self.session = self.socket;
    }

    pub(super) fn told(&mut self) {
        self.told = true;
    }

    /// The socket is gone at `at`.
    pub(super) fn lost(&mut self, why: Why, at: u64) {
        self.socket = None;
        let why = if self.told { Why::Moved } else { why };
        if let Some(from) = self.session.take() {
            self.lost.get_or_insert(Lost { from, why, at });
        }
    }

    /// The device is caught up: what was lost, and where it is now.
    pub(super) fn back(&mut self) -> Option<(Lost, usize)> {
        Some((self.lost.take()?, self.session?))
    }

    /// The app is closed: that is no loss.
    pub(super) fn left(&mut self) {
        (self.socket, self.session, self.lost) = (None, None, None);
    }
}

/// Why there is no socket.
pub(super) enum Unopened {
    /// No gateway names a node.
    NoNode(ApiError),
    /// The node at this address cannot be reached.
    NoSocket(String),
}

impl Unopened {
    /// As errors are counted.
    fn name(&self) -> &str {
        match self {
            Self::NoNode(ApiError::Refused { code, .. }) => code,
            Self::NoNode(ApiError::Unreachable(_)) => "gateway_unreachable",
            Self::NoSocket(_) => "unreachable",
        }
    }

    /// As the device takes it, and where it was.
    fn loss(self) -> (Loss, Option<String>) {
        match self {
            Self::NoNode(error) => (error.loss(), None),
            Self::NoSocket(at) => (Loss::Broken, Some(at)),
        }
    }
}

impl Unit {
    pub(super) fn connect(&mut self, socket: SocketId, address: Option<String>) {
        let (number, source, world) = (self.number, self.source, std::rc::Rc::clone(&self.world));
        let (token, trust) = (self.account.access_token.clone(), self.account.trust.clone());
        let (known, not) = (address.or_else(|| self.place.node.clone()), self.place.not_at.clone());
        let opening = async move {
            let node = match known {
                Some(node) => node,
                None => {
                    let asked = world.gateways.ask(number, async |api| api.node(&token, not.as_deref()).await);
                    asked.await.map_err(Unopened::NoNode)?
                }
            };
            match connect_from(source, &node, &trust, None).await {
                Ok(socket) => Ok((socket, node)),
                Err(_) => Err(Unopened::NoSocket(node)),
            }
        };
        self.opening = Some((socket, Box::pin(opening)));
        self.poll_again();
    }

    pub(super) fn poll_opening(&mut self, cx: &mut Context<'_>) {
        let Some((id, opening)) = self.opening.as_mut() else { return };
        let Poll::Ready(opened) = opening.as_mut().poll(cx) else { return };
        let id = *id;
        self.opening = None;
        match opened {
            Ok((socket, node)) => {
                let mut tally = self.world.tally.borrow_mut();
                tally.connects += 1;
                let at = tally.node(&node);
                drop(tally);
                self.place.opened(node, at);
                self.socket = Some((id, socket));
                self.core(|core, turn| core.connected(id, turn));
            }
            Err(unopened) => {
                self.world.tally.borrow_mut().error(unopened.name());
                let (loss, at) = unopened.loss();
                self.place.unopened(at);
                self.lost(id, loss, Why::Broken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_counts_once_from_its_beginning_to_where_the_device_is_caught_up() {
        let mut place = Place::new("ws://a".to_owned());
        let comes = |place: &mut Place, at| {
            place.opened("ws://x".to_owned(), at);
            place.welcomed();
        };
        comes(&mut place, 0);
        assert_eq!(place.back(), None, "the first session moves nobody");
        place.told();
        place.lost(Why::Closed(4008), 5);
        place.lost(Why::Broken, 6);
        comes(&mut place, 1);
        place.lost(Why::Broken, 7);
        comes(&mut place, 2);
        assert_eq!(place.back(), Some((Lost { from: 0, why: Why::Moved, at: 5 }, 2)));
        assert_eq!(place.back(), None);
        place.lost(Why::Broken, 9);
        place.left();
        comes(&mut place, 0);
        assert_eq!(place.back(), None, "who closed the app was not moved");
    }
}
