//! Every number that bounds something, in one place, each with its unit and its reason.
//!
//! Constants of the log generation (N, the clocks' bound) are persisted meaning: they never become
//! dynamic settings, because readers of one partition must judge alike.

/// A bound: what it is, in which unit, and why it is this large.
#[derive(Clone, Copy, Debug)]
pub struct Limit<T> {
    /// The number.
    pub value: T,
    /// Its unit.
    pub unit: &'static str,
    /// Why this number.
    pub reason: &'static str,
}

macro_rules! limits {
    ($($name:ident: $kind:ty = $value:expr, $unit:literal, $reason:literal;)*) => {
        $(
            #[doc = concat!($reason, " (", $unit, ")")]
            pub const $name: Limit<$kind> = Limit { value: $value, unit: $unit, reason: $reason };
        )*
        /// Name, value, unit and reason of every limit, for the generated reference.
        #[must_use]
        pub fn all() -> Vec<(&'static str, u64, &'static str, &'static str)> {
            vec![$((stringify!($name), $name.value as u64, $name.unit, $name.reason)),*]
        }
    };
}

limits! {
    LATE_AFTER_MS: u64 = 10_000, "milliseconds", "N: a send stamped later than this after its id is dropped by every reader; twice the longest append, so that only a stuck one is late";
    CLOCK_BOUND_MS: u64 = 250, "milliseconds", "how far the clocks of nodes and log may differ; NTP keeps tens of milliseconds";
    CLOCK_READINGS: usize = 8, "appends", "so many of a node's appends in a row must be stamped outside of the bound before its clock counts as wrong: one of three brokers may be the one that is";
    CLOCK_READ_MS: u64 = 60_000, "milliseconds", "how long a stamp tells of the log's clock: a clock that drifts beyond the bound within it is broken, and one that was set by more is another";
    APPEND_DEADLINE_MS: u64 = 5_000, "milliseconds", "an append that takes longer ends its session; well below N, so that a healthy append is never late";
    STALE_AFTER_MS: u64 = 5_000, "milliseconds", "S: a send that was longer on its way is taken by no session, because readers forget which sessions were left; bad networks take one or two, 64 sends at their pace 1.3 s";
    STEADY_CLOCK_PPM: u64 = 100, "parts per million", "how fast a device's steady clock may run, as quartz does at worst; so a session takes no sends after 14 hours, and its device begins another";
    HELLO_WITHIN_MS: u64 = 10_000, "milliseconds", "a socket that does not say hello holds no more than a file handle for this long";
    MOVED_WITHIN_MS: u64 = 400, "milliseconds", "the sessions of a partition that went to another node are told over this time: no storm there, and with a client's first wait of 250 ms all are back within a second";
    OTHER_NODE_WITHIN_MS: u64 = 2_000, "milliseconds", "who cannot reach their node waits this long for another to be named: most of a lease of 3 s, and no longer than a node that was started again is missed";
    GREETING_MOST: usize = 4_096, "sockets", "sockets of one thread that have not said hello; more wait in the kernel's queue";
    TLS_HANDSHAKE_WITHIN_MS: u64 = 5_000, "milliseconds", "a connection that does not end its TLS handshake is closed at the HTTP edge: it takes two round trips; sessions have until their hello";
    TLS_RECORD_BYTES: usize = 18_432, "bytes", "sealed bytes that are held until they are whole: a record has 16 KiB and up to 2 KiB around them, what opens a connection far less";
    SILENCE_MS: u64 = 150_000, "milliseconds", "a client pings each 55 s; two may be lost before its socket counts as dead";
    PING_EVERY_MS: u64 = 55_000, "milliseconds", "below the 60 s after which common proxies cut idle connections";
    FRAME_BYTES: usize = 65_536, "bytes", "largest frame from a client: a text of 8 KiB with everything around it fits many times";
    FRAME_WITHIN_MS: u64 = 10_000, "milliseconds", "a frame that has begun must be complete by then: a sender of one byte a second holds no buffer for long";
    HANDSHAKE_BYTES: usize = 8_192, "bytes", "largest HTTP request that opens a socket: browsers send less than 2 KiB";
    HANDSHAKE_HEADERS: usize = 64, "headers", "most headers of the HTTP request that opens a socket";
    SOCKET_QUEUE_BYTES: usize = 8_388_608, "bytes", "frames that a slow reader's kernel buffer does not take: as many pages as a session may wait for fit; requests are read again below 64 KiB";
    NESTING: usize = 16, "levels", "deepest nesting of a frame's body: the protocol itself needs 4";
    TEXT_BYTES: usize = 8_192, "bytes", "largest text of a message, in UTF-8";
    EMOJI_BYTES: usize = 64, "bytes", "largest reaction: the longest emoji sequences take 35";
    UNACKNOWLEDGED_SENDS: usize = 64, "sends", "sends of a session that the log has not confirmed; more are read when these are";
    SENDS_PER_SECOND: u32 = 50, "sends/s", "sustained rate of a session: no person types faster, a bot should be told";
    SENDS_BURST: u32 = 200, "sends", "what a device may send at once after being offline";
    WINDOW_BYTES: usize = 65_536, "bytes", "unconfirmed event bytes of a session: what a stalled reader costs";
    RECEIVED_EVERY_FRAMES: u64 = 16, "frames", "a client confirms at least this often";
    RECEIVED_EVERY_BYTES: usize = 16_384, "bytes", "a quarter of the window, so that a live reader never fills it";
    RECEIVED_EVERY_MS: u64 = 1_000, "milliseconds", "what follows from receiving (delivered) is at most this old";
    MARK_EVERY_MS: u64 = 500, "milliseconds", "one mark a chat and this long: later ones are coalesced";
    MARKED_CHATS: usize = 1_024, "chats", "chats whose marks a session holds back for coalescing; more are taken from the chat list";
    TYPING_EVERY_MS: u64 = 2_000, "milliseconds", "a session is seen typing to somebody at most this often: more is said to nobody";
    TYPING_SAID_EVERY_MS: u64 = 3_000, "milliseconds", "a client says again this often that its user is still typing";
    TYPING_SHOWN_MS: u64 = 6_000, "milliseconds", "a client shows that somebody types for this long: one repetition may get lost";
    TYPING_TO_MOST: usize = 8, "users", "to whom one session can be seen typing at once: a person writes to one";
    WATCHED_MOST: usize = 256, "users", "whose presence one session watches: those of two pages of chats, and more than a screen shows";
    ONLINE_GRACE_MS: u64 = 5_000, "milliseconds", "whose last session ended counts as online for so long: a reconnect is not seen";
    ONLINE_KEPT_MS: u64 = 90_000, "milliseconds", "a user whose node died counts as online for so long: two renewals may fail";
    ONLINE_RENEWED_MS: u64 = 30_000, "milliseconds", "presence is said again, and that of those who are watched read again, this often";
    LAST_SEEN_KEPT_MS: u64 = 2_592_000_000, "milliseconds", "when somebody was there last is forgotten after 30 days";
    BUS_QUEUE: usize = 4_096, "messages", "what a node has to say of typing and presence while the bus is slow; more is dropped";
    TAIL_BYTES: usize = 67_108_864, "bytes", "newest events of all partitions of a node, held in memory so that a short absence reads no disk";
    READ_BACK_BYTES: usize = 16_777_216, "bytes", "how far one partition's tail is extended backwards by reading the log; longer absences read the index";
    UNREAD_MOST: usize = 100, "messages", "unread messages counted exactly; people read \"99+\" beyond";
    RESOLVED_LATE_MOST: usize = 100, "messages", "messages resolved long after their id that a chat remembers for unread counts";
    PAGE_MOST: usize = 100, "messages", "largest page of history";
    PAGE_BYTES: usize = 131_072, "bytes", "texts of one page, after which it ends early: a page of the longest texts must fit a socket's queue, also as escaped JSON";
    PAGE_DEFAULT: usize = 50, "messages", "a screen or two";
    CHATS_MOST: usize = 100, "chats", "largest page of the chat list";
    ORIGIN_WITHIN_MS: u64 = 100, "milliseconds", "archive waits this long for the partition in which an echo's send was accepted, before it writes the same rows once more: partitions that keep pace need a few, and one that is stuck makes nobody's pages older by more";
    RETRIES_AT_ONCE: usize = 64, "retries", "W: flagged records of a partition that archive resolves together; as many as it has statements under way, so that a storm of them fills no store's queue, and 512 KiB of the longest texts";
    SET_ASIDE_AFTER: u32 = 5, "tries", "what the timeline refuses for good so often in a row, half a second apart, is set aside; what a restart of the store mends passes by itself";
    RETAIN_LOG_MS: u64 = 604_800_000, "milliseconds", "the log keeps what is younger than 7 days even when it is archived: longer than between backups of the timeline";
    INDEX_MS: u64 = 2_592_000_000, "milliseconds", "the inbox index answers absences of up to 30 days; longer ones re-read their chats";
    TOKEN_MS: u64 = 900_000, "milliseconds", "an access token lives 15 minutes: what a stolen one is worth";
    REFRESH_MS: u64 = 2_592_000_000, "milliseconds", "a device that was away for 30 days logs in again";
    REFRESHES_PER_MINUTE_ADDRESS: u32 = 1_200, "refreshes/minute", "nobody guesses a refresh token; this bounds what one address may make the account store write, with room for 18,000 devices behind it that refresh each 15 minutes";
    TOKEN_BYTES: usize = 4_096, "bytes", "largest access token that is looked at";
    USER_NAME_CHARS: usize = 32, "characters", "longest user name; it is typed and read aloud";
    DISPLAY_NAME_CHARS: usize = 64, "characters", "longest display name";
    PASSWORD_CHARS_LEAST: usize = 8, "characters", "shortest password (NIST SP 800-63B)";
    PASSWORD_BYTES: usize = 1_024, "bytes", "longest password that is hashed";
    PASSWORD_QUEUE: usize = 64, "log-ins", "password checks that wait for the hashing thread; more get 503";
    USER_SEARCH_CHARS_LEAST: usize = 3, "characters", "shortest part of a name that is searched for";
    USER_SEARCH_MOST: usize = 20, "users", "most users found at once";
    RESERVE_AHEAD_MS: u64 = 600_000, "milliseconds", "a generator's number is reserved this far ahead: SQL may be away for 9 minutes";
    RESERVE_EVERY_MS: u64 = 60_000, "milliseconds", "the reservation is renewed this often";
    LEASE_MS: u64 = 3_000, "milliseconds", "a node that was not heard of for so long owns nothing: moves after a kill end within five seconds";
    LEASE_EVERY_MS: u64 = 1_000, "milliseconds", "a lease is renewed this often: two renewals may fail";
    WEIGHT_MOST: u16 = 100, "weight", "of two nodes the larger one owns at most so many times as much as the smaller one: machines differ by less";
}
