//! Codes as clients meet them: errors that answer a request, and numbered closes.
//!
//! Texts of codes and numbers of closes are public: they are never renamed, renumbered or reused.

use std::fmt;

macro_rules! codes {
    ($($name:ident = $text:literal, $http:literal, $retry:literal, $meaning:literal;)*) => {
        /// Why a request was not done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it stands in answers.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn http(self) -> u16 {
                match self { $(Self::$name => $http),* }
            }

            /// Whether the same request may succeed later.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retry),* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

codes! {
    BadFrame = "bad_frame", 400, false, "The frame is no array of operation, request id and body in the agreed encoding.";
    UnknownOperation = "unknown_operation", 400, false, "There is no such operation.";
    BadRequest = "bad_request", 400, false, "A field is missing, of the wrong type or out of range; `field` names it.";
    TooLarge = "too_large", 413, false, "The text, frame or request is larger than allowed.";
    EmptyText = "empty_text", 422, false, "A message needs a text.";
    InvalidUtf8 = "invalid_utf8", 400, false, "Text must be UTF-8.";
    NotReady = "not_ready", 409, false, "Say hello first.";
    HelloAgain = "hello_again", 409, false, "This session has said hello already.";
    InvalidToken = "invalid_token", 401, false, "The access token is not one of ours, is expired, or does not belong to this device.";
    Revoked = "revoked", 401, false, "The device was logged out: log in again.";
    ClockAhead = "clock_ahead", 409, true, "The device has seen ids from the future of this node's clock.";
    UnknownRecipient = "unknown_recipient", 404, false, "There is no such user.";
    UnknownChat = "unknown_chat", 404, false, "There is no such chat, or it is not yours.";
    UnknownMessage = "unknown_message", 404, false, "There is no such message in this chat.";
    SeqReused = "seq_reused", 409, false, "Send numbers of a session rise: this one was used already.";
    KeyReused = "key_reused", 409, false, "This send key was used before with another recipient or content.";
    InvalidRetry = "invalid_retry", 422, false, "A retry names an earlier session of this device; what this session took is not retried in it.";
    RetriesFirst = "retries_first", 409, true, "Retries of this chat are not answered yet; new sends into it come after them.";
    Refused = "refused", 403, false, "The send was never taken and may not be taken now.";
    OutcomeUnknown = "outcome_unknown", 503, true, "The log did not confirm in time: reconnect and retry with the same key.";
    Stale = "stale", 409, true, "The send was too long on its way; nothing was written: reconnect and retry with the same key.";
    LogUnavailable = "log_unavailable", 503, true, "The log takes nothing at the moment; nothing was written.";
    LogFull = "log_full", 507, true, "The log's disk is full; nothing was written.";
    NoIds = "no_ids", 503, true, "This node may not take ids at the moment; nothing was written.";
    NoNode = "no_node", 503, true, "No messaging node serves this user at the moment; one will in a few seconds.";
    HistoryUnavailable = "history_unavailable", 503, true, "History cannot be read at the moment.";
    AccountsUnavailable = "accounts_unavailable", 503, true, "Accounts cannot be read at the moment.";
    InvalidCursor = "invalid_cursor", 400, false, "This page cursor was not given out by this service.";
    InvalidPosition = "invalid_position", 400, false, "This position was not given out by this service.";
    NotSynced = "not_synced", 409, true, "Marks wait for `synced`.";
    MarkAhead = "mark_ahead", 422, false, "The mark lies beyond what this session was sent.";
    UserNameTaken = "user_name_taken", 409, false, "Somebody has this user name.";
    UserNameReserved = "user_name_reserved", 422, false, "This user name is kept for the service.";
    InvalidUserName = "invalid_user_name", 422, false, "User names are 3 to 32 characters of a-z, 0-9 and _, beginning with a letter.";
    InvalidDisplayName = "invalid_display_name", 422, false, "Display names are 1 to 64 characters without control characters.";
    InvalidPassword = "invalid_password", 422, false, "Passwords are at least 8 characters and at most 1,024 bytes.";
    WrongCredentials = "wrong_credentials", 401, false, "User name or password is wrong.";
    InvalidRefreshToken = "invalid_refresh_token", 401, false, "The refresh token is unknown, expired or was used before; log in again.";
    TooManyRequests = "too_many_requests", 429, true, "Too many attempts: wait as `Retry-After` says.";
    Busy = "busy", 503, true, "Too much work waits already; try again in a moment.";
    NotFound = "not_found", 404, false, "There is nothing at this address.";
    MethodNotAllowed = "method_not_allowed", 405, false, "This address does not take this method; `Allow` lists what it takes.";
    UnsupportedMedia = "unsupported_media_type", 415, false, "Send application/json.";
    Internal = "internal", 500, true, "A fault of ours; it is logged under the request's id.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What a client does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// At once, with the usual back-off from its first step.
    Now,
    /// With back-off.
    Later,
    /// After getting a new access token.
    WithNewToken,
    /// Not by itself: a person or a newer session is in charge.
    No,
}

macro_rules! closes {
    ($($name:ident = $number:literal, $text:literal, $reconnect:ident, $meaning:literal;)*) => {
        /// Why the server closes a socket. 1000–1015 are RFC 6455's, 4000–4999 are ours.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Close {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl Close {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The close of this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The reason text in the close frame, and the label in metrics.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What a client does next.
            #[must_use]
            pub const fn reconnect(self) -> Reconnect {
                match self { $(Self::$name => Reconnect::$reconnect),* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

closes! {
    Normal = 1000, "normal", No, "The client closed.";
    GoingAway = 1001, "going_away", Now, "The node shuts down.";
    ProtocolError = 1002, "protocol_error", No, "A frame broke RFC 6455: unmasked, reserved bits, a bad opcode, a bad close.";
    BadData = 1003, "bad_data", No, "A frame was of the wrong type for the subprotocol.";
    InvalidUtf8 = 1007, "invalid_utf8", No, "A text frame was not UTF-8.";
    TooLarge = 1009, "too_large", No, "A frame was larger than allowed.";
    HelloTimeout = 4000, "hello_timeout", Later, "No hello in time.";
    InvalidToken = 4001, "invalid_token", WithNewToken, "The access token was refused or ran out.";
    Revoked = 4002, "revoked", No, "The device was logged out: log in again.";
    Replaced = 4003, "replaced", No, "A newer session of this device took over.";
    Retry = 4004, "retry", Now, "An append failed or came late, or a send was stale: reconnect, then retry what is unconfirmed.";
    Silent = 4005, "silent", Now, "Nothing was heard for too long.";
    SlowFrame = 4006, "slow_frame", Later, "A frame was begun and not finished in time.";
    TooManyErrors = 4007, "too_many_errors", Later, "Too many bad requests on one socket.";
    Moved = 4008, "moved", Now, "Another node serves this user; `moved` named it.";
    Fault = 4009, "fault", Later, "A fault of the node's ended the session.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_and_numbers_are_unique() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        let numbers: HashSet<_> = Close::ALL.iter().map(|close| close.number()).collect();
        assert_eq!(numbers.len(), Close::ALL.len());
        assert!(Close::ALL.iter().all(|&close| Close::from_number(close.number()) == Some(close)));
    }
}
