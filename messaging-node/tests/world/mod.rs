//! One session that was welcomed at [`WELCOME`], and the node around it.

use volery_kernel::generator::Generator;
use volery_kernel::id::{DeviceId, EPOCH_MS, Id, SessionNumber, UserId};
use volery_kernel::slot::{Partition, Partitions};
use volery_kernel::time::Timestamp;
use volery_messaging::core::pace::Rate;
use volery_messaging::core::session::{Context, Effect, Opening, Session};
use volery_messaging::core::stream::Follower;
use volery_messaging::core::tail::Tail;
use volery_wire::client::Request;

const WELCOME: Timestamp = Timestamp(EPOCH_MS + 1_000_000);

pub(crate) struct World {
    pub(crate) session: Session,
    ids: Generator,
    pub(crate) tail: Tail,
    known: Option<bool>,
}

impl World {
    /// Whether others exist, if that is known to the node.
    pub(crate) fn new(known: Option<bool>) -> Self {
        let (user, device) = (user(1), DeviceId::new(2).unwrap());
        let opening = Opening {
            who: Follower { user, device, session: SessionNumber(Id::new(3).unwrap()) },
            token_until: WELCOME.plus(100_000_000),
            largest_id: Id::ZERO,
            resume: None,
            request: 1,
            rate: Rate { per_second: 50, burst: 200 },
            generation: 1,
        };
        let session = Session::open(opening, WELCOME, &mut Vec::new());
        let ids = Generator::new(1, WELCOME, WELCOME.plus(100_000_000));
        Self { session, ids, tail: Tail::new(Partition(0), 1, 0, 1_000), known }
    }

    /// What follows from an input so long after `welcome`.
    pub(crate) fn at(
        &mut self,
        ms: u64,
        input: impl FnOnce(&mut Session, &mut Context<'_>, &mut Vec<Effect>),
    ) -> Vec<Effect> {
        let (known, mut effects) = (self.known, Vec::new());
        let known = |_| known;
        let (now, partitions) = (WELCOME.plus(ms), Partitions::new(1).unwrap());
        let mut ctx = Context { now, ids: &mut self.ids, agrees: true, tail: &self.tail, partitions, known: &known };
        input(&mut self.session, &mut ctx, &mut effects);
        effects
    }

    pub(crate) fn hear(&mut self, request: Request<'_>, ms: u64) -> Vec<Effect> {
        self.at(ms, |session, ctx, effects| session.request(7, request, ctx, effects))
    }
}

pub(crate) fn user(number: u64) -> UserId {
    UserId::new(number).unwrap()
}
