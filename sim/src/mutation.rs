//! What can be done wrong on purpose, each in the world around the cores: the shells of the simulation
//! change what goes into a core or comes out of it. Production code cannot reach any of this.
//!
//! Every mutation has a fault mix of its own, in which it matters soon; a control without the
//! mutation keeps every promise in the same mix.

use crate::fault::{Kind, Mix, Trouble};
use crate::plan::Plan;

macro_rules! mutations {
    ($($name:ident: $meaning:literal;)*) => {
        /// A single thing done wrong, which the checks must notice.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutation {
            $(#[doc = $meaning] $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// One sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

mutations! {
    AckBeforeDurable: "a session is told that an append is durable before it is, and some never are";
    SessionGoesOn: "a session goes on after a failed append";
    AppendsInParallel: "a session has several appends under way in one partition";
    NoFloor: "ids are taken without a floor";
    RetryWithoutFlag: "retries are appended as if they were new";
    NoLookUp: "archive takes every flagged send as new";
    LookedUpEarly: "archive looks a retry up when it reads it, before what stands before it is written";
    OwnersShowRetries: "owners show flagged records";
    MarkNotRepeated: "devices never say a delivered mark that was lost with its node";
    StaleTaken: "sessions take sends however long they were on their way";
    NoFence: "readers do not drop what older sessions append";
    NoReadBack: "readers that start anywhere do not read back";
    LateKept: "readers do not drop late sends";
    LateByMaximum: "lateness is judged by the running maximum of the stamps";
    ResolvedKeepsPlace: "a resolved retry keeps the flagged record's place";
    CursorById: "a session's cursor is the newest id that it sent";
    MarksById: "a mark covers every message with an id up to its own";
    SendingMarksToEcho: "sending marks everything up to the own echo";
    StaleSynced: "synced means the end as the owner's tail knows it";
    JoinOneLate: "the tail is joined to the index one event late";
    JoinedByFanout: "the index counts as complete up to fan-out's offset";
    ResetAtTail: "reset names the end of the tail, not of the archive";
    ResetStoredEarly: "the position of a reset is stored before its pages are read";
    OverflowWithoutGap: "what a full window does not take is left out without a gap";
    ReceivedBySending: "a session believes that its device confirmed everything at once";
    CommitBeforeRows: "archive commits before its rows are written";
    ReactionsDropped: "archive writes no reactions";
    WrittenBeforeRows: "archive tells other partitions that its rows are written before they are";
    FanoutCommitsEarly: "fan-out commits what it has read, not what it has appended";
    MissedPassedOver: "what did not fit into a target's lane is passed over when it is read again";
    SetByPassedOver: "archive commits over an answer that was set by and never appends it";
    PassesOverDerived: "archive passes over a derived event whose origin is not archived";
    LastMapWins: "a node goes by the map that it heard last, be it older";
    MovedUntold: "a node that lost a partition tells nobody";
    LostInSilence: "a node that lost a partition reads it no more and tells nobody";
    BeginsCold: "a new owner begins its tail without reading back";
    GapPassedOver: "a new owner takes what lies before its tail for sent";
    OwnNumbers: "every node numbers sessions in a range of its own";
    TakenUpAtEnd: "a history node that gains a partition begins at the log's end";
    HandsOverUndone: "fan-out that is given up commits what it has read, not what it has appended";
}

impl Mutation {
    /// Bends a plan towards what this mutation needs to matter.
    pub fn bend(self, plan: &mut Plan) {
        let faults = |plan: &mut Plan, mix: &[(Kind, u64)]| plan.mix = Mix::of(mix);
        let log = |plan: &mut Plan, mix: &[(Trouble, u64)]| plan.troubles = Mix::of(mix);
        (plan.night, plan.any_node, plan.long_texts) = (None, true, false);
        match self {
            Self::AckBeforeDurable | Self::ReactionsDropped => {}
            Self::SessionGoesOn
            | Self::RetryWithoutFlag
            | Self::NoLookUp
            | Self::LookedUpEarly
            | Self::OwnersShowRetries => {
                faults(plan, &[(Kind::Log, 4), (Kind::Cut, 3), (Kind::Archive, 1)]);
                log(plan, &[(Trouble::Lost, 1), (Trouble::Kept, 3)]);
            }
            Self::AppendsInParallel => {
                faults(plan, &[(Kind::Log, 6), (Kind::Lag, 1)]);
                log(plan, &[(Trouble::Lost, 1), (Trouble::Kept, 1)]);
                plan.bursts = 900;
            }
            Self::NoFloor => {
                faults(plan, &[(Kind::Step, 4), (Kind::Cut, 4), (Kind::Drift, 1)]);
                (plan.nodes, plan.quick) = (3, true);
            }
            Self::MarkNotRepeated => faults(plan, &[(Kind::Crash, 4), (Kind::Cut, 4)]),
            Self::StaleTaken => {
                faults(plan, &[(Kind::Pause, 4), (Kind::Cut, 4), (Kind::Archive, 2), (Kind::Fanout, 1)]);
                (plan.long_pauses, plan.nodes, plan.bursts) = (true, 3, 900);
            }
            Self::NoFence | Self::NoReadBack => {
                faults(
                    plan,
                    &[(Kind::Log, 4), (Kind::Cut, 3), (Kind::Archive, 3), (Kind::Crash, 2), (Kind::Fanout, 1)],
                );
                log(plan, &[(Trouble::Kept, 4), (Trouble::Slow, 2)]);
            }
            Self::LateKept => {
                faults(plan, &[(Kind::Log, 5), (Kind::Cut, 1), (Kind::Archive, 1)]);
                log(plan, &[(Trouble::KeptLate, 5), (Trouble::Lost, 1)]);
            }
            Self::LateByMaximum => {
                faults(plan, &[(Kind::Log, 3), (Kind::LogAhead, 6)]);
                log(plan, &[(Trouble::Slow, 1)]);
                plan.slow_within_deadline = true;
            }
            Self::ResolvedKeepsPlace => {
                faults(plan, &[(Kind::Log, 4), (Kind::Archive, 4), (Kind::Cut, 3)]);
                log(plan, &[(Trouble::Lost, 3), (Trouble::Kept, 1)]);
                plan.partitions = 1;
                plan.readings *= 4;
            }
            Self::CursorById | Self::SendingMarksToEcho => {
                faults(plan, &[(Kind::Step, 2), (Kind::Cut, 3), (Kind::Log, 2), (Kind::Lag, 2)]);
                (plan.sends_mark, plan.readings) = (true, plan.readings * 4);
            }
            Self::MarksById => {
                faults(plan, &[(Kind::Log, 4), (Kind::Stall, 4), (Kind::Lag, 1)]);
                log(plan, &[(Trouble::Slow, 3), (Trouble::Kept, 1)]);
                (plan.rough, plan.readings, plan.quick) = (2, plan.readings * 10, true);
            }
            Self::StaleSynced => {
                faults(plan, &[(Kind::Lag, 3), (Kind::Cut, 4), (Kind::Restart, 2)]);
                plan.rough = 2;
            }
            Self::ResetAtTail | Self::ResetStoredEarly => {
                faults(plan, &[(Kind::Garble, 4), (Kind::Replace, 2), (Kind::Restart, 4), (Kind::Archive, 6)]);
                (plan.rough, plan.faults_end, plan.partitions) = (4, 20_000, 1);
            }
            Self::JoinOneLate | Self::JoinedByFanout | Self::PassesOverDerived | Self::WrittenBeforeRows => {
                faults(
                    plan,
                    &[(Kind::Archive, 5), (Kind::Restart, 4), (Kind::Crash, 2), (Kind::Lag, 3), (Kind::Garble, 2)],
                );
                (plan.tail_bytes, plan.extend_most, plan.partitions) = (1_500, 0, 4);
            }
            Self::OverflowWithoutGap => {
                faults(plan, &[(Kind::Stall, 6), (Kind::Cut, 1)]);
                (plan.long_texts, plan.tail_bytes) = (true, 300_000);
            }
            Self::ReceivedBySending => faults(plan, &[(Kind::Cut, 3), (Kind::Stall, 2)]),
            Self::CommitBeforeRows => {
                faults(plan, &[(Kind::Archive, 6), (Kind::Cut, 1)]);
                (plan.rough, plan.faults_end) = (3, 30_000);
            }
            Self::SetByPassedOver => {
                faults(plan, &[(Kind::Log, 6), (Kind::Cut, 1)]);
                log(plan, &[(Trouble::Lost, 1), (Trouble::Refused, 1)]);
            }
            Self::MissedPassedOver => faults(plan, &[(Kind::Log, 4), (Kind::Cut, 1)]),
            Self::FanoutCommitsEarly => faults(plan, &[(Kind::Fanout, 4), (Kind::Log, 3), (Kind::Cut, 1)]),
            Self::LastMapWins | Self::MovedUntold | Self::LostInSilence | Self::GapPassedOver | Self::OwnNumbers => {
                faults(plan, &[(Kind::Drain, 6), (Kind::Sever, 3), (Kind::Step, 2), (Kind::Cut, 2)]);
                (plan.any_node, plan.nodes, plan.extend_most) = (false, 3, 0);
            }
            Self::BeginsCold => {
                faults(plan, &[(Kind::Drain, 5), (Kind::Log, 4), (Kind::Cut, 3)]);
                log(plan, &[(Trouble::KeptLate, 1)]);
                (plan.any_node, plan.nodes, plan.partitions, plan.rough) = (false, 2, 1, 3);
            }
            Self::TakenUpAtEnd | Self::HandsOverUndone => {
                faults(plan, &[(Kind::HistoryDrain, 5), (Kind::Log, 4), (Kind::Cut, 1)]);
                plan.rough = 2;
            }
        }
    }
}
