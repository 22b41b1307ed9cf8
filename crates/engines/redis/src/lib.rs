//! The bus on Redis (6.2 or later): typing and presence between nodes. What Redis holds may be lost.
//!
//! | in Redis | what |
//! |---|---|
//! | key `volery:presence:<user>` | `online`, or when the user was seen last in milliseconds; it expires |
//! | channel `volery:presence:<user>` | the same, when it changes; `unknown` where nothing holds any more |
//! | channel `volery:typing:<partition>` | `<to> <from>`, two user ids |
//!
//! One connection (RESP3) carries everything: commands, and what is heard. Where it breaks, stands still or was
//! never there, it is made anew, for ever; whoever listens learns of that by `News::Anew`. Trap avoided: Redis
//! that is away keeps no node from starting, and nobody waits for it longer than a deadline.
//!
//! | module | owns |
//! |---|---|
//! | [`RedisBus`] | the port |
//! | `link` | the connection, and what is subscribed on it |
//! | `names` | keys, channels and what stands in them |

mod bus;
mod link;
mod names;

pub use bus::{OpenError, Options, RedisBus};
pub use names::{channel, read};
