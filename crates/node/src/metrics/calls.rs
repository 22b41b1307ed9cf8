//! Calls of engines: two labels that belong together, as one list, so that a call is still found by index.

use super::family::Label;

macro_rules! calls {
    ($($engine:literal { $($name:ident = $text:literal;)* })*) => {
        /// What an engine is asked to do. Waiting for news is no call: it takes as long as it takes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is named as the port's method")]
        pub enum EngineCall {
            $($($name,)*)*
        }

        impl Label for EngineCall {
            const NAMES: &'static [&'static str] = &["engine", "call"];
            const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            fn texts(self) -> Vec<&'static str> {
                match self { $($(Self::$name => vec![$engine, $text],)*)* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

calls! {
    "log" {
        LogAppend = "append";
        LogRead = "read";
        LogExtent = "extent";
        LogSeek = "seek";
        LogCommit = "commit";
        LogCommitted = "committed";
        LogRelease = "release";
    }
    "timeline" {
        TimelineApply = "apply";
        TimelineCommitted = "committed";
        TimelineSent = "sent";
        TimelineMessages = "messages";
        TimelineMessage = "message";
        TimelineChat = "chat";
        TimelineChats = "chats";
        TimelineIndex = "index";
        TimelineIndexStart = "index_start";
        TimelineExpireIndex = "expire_index";
    }
    "bus" {
        BusSay = "say";
        BusPresence = "presence";
    }
    "cluster" {
        ClusterKnown = "known";
        ClusterFacts = "facts";
        ClusterLog = "log";
        ClusterPutLog = "put_log";
        ClusterHold = "hold";
        ClusterLeave = "leave";
        ClusterEnd = "end";
        ClusterLeases = "leases";
        ClusterMap = "map";
        ClusterPutMap = "put_map";
        ClusterDrains = "drains";
        ClusterSettings = "settings";
        ClusterSet = "set";
    }
    "accounts" {
        AccountsCreateUsers = "create_users";
        AccountsCredentials = "credentials";
        AccountsUsers = "users";
        AccountsFindUsers = "find_users";
        AccountsLogIn = "log_in";
        AccountsDevice = "device";
        AccountsDevices = "devices";
        AccountsRotate = "rotate";
        AccountsRevoke = "revoke";
        AccountsRevokedAfter = "revoked_after";
        AccountsNewestRevocation = "newest_revocation";
        AccountsOutboxLead = "outbox_lead";
        AccountsOutboxTake = "outbox_take";
        AccountsOutboxDone = "outbox_done";
        AccountsReserve = "reserve";
        AccountsSigningKeys = "signing_keys";
    }
}
