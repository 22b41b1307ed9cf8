//! The tables of operations. Numbers and names are public: never renumbered, renamed or reused.

macro_rules! operations {
    ($(#[$doc:meta])* $kind:ident { $($name:ident = $number:literal, $text:literal, $meaning:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $kind {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl $kind {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation in MessagePack.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The operation in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// The operation of this number.
            #[must_use]
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The operation of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

operations! {
    /// What a client asks.
    ClientOp {
        Hello = 1, "hello", "Opens the session: first frame of every socket.";
        Refresh = 2, "refresh", "Brings a new access token for the same device.";
        Send = 3, "send", "A message to a user.";
        Edit = 4, "edit", "Another text for one's own message.";
        Delete = 5, "delete", "Takes one's own message away for everyone.";
        React = 6, "react", "One's reaction to a message, replacing the one before.";
        Unreact = 7, "unreact", "Takes one's reaction back.";
        Mark = 8, "mark", "The user has read a chat up to here.";
        Typing = 9, "typing", "Its user is writing to somebody.";
        Presence = 10, "presence", "Whom this session watches from now on, instead of those before.";
        History = 11, "history", "A page of a chat.";
        Chats = 12, "chats", "A page of the chat list.";
        Received = 13, "received", "Confirms all event frames up to a number.";
        Ping = 14, "ping", "Keeps the socket; answered with the stream's position.";
        Resume = 15, "resume", "After `reset`: pages are read, go on from this position.";
    }
}

operations! {
    /// What a node answers and tells.
    ServerOp {
        Welcome = 64, "welcome", "Answers `hello`.";
        Ack = 65, "ack", "A send is durable.";
        Message = 66, "message", "Event: a message, whole; replaces what is held under its id.";
        Changed = 67, "changed", "Event: a message was edited, deleted or reacted to.";
        Marked = 68, "marked", "Event: somebody holds or has read a chat up to here.";
        Presence = 69, "presence", "Answers `presence`; later, who of them came or went.";
        Typing = 70, "typing", "Somebody is writing in a chat.";
        Page = 71, "page", "Answers `history`.";
        Synced = 72, "synced", "Everything that the stream held at `hello` or `resume` was sent.";
        Gap = 73, "gap", "The window was full: the session is behind and catches up until `synced`.";
        Reset = 74, "reset", "Discard or re-read: pages hold everything up to this position.";
        Moved = 75, "moved", "Another node serves this user.";
        Error = 76, "error", "The request was not done, and why.";
        Pong = 77, "pong", "Answers `ping`.";
        Answer = 78, "answer", "Event: how a retry ended.";
        ChatList = 79, "chat_list", "Answers `chats`.";
        Done = 80, "done", "The request was done.";
    }
}
