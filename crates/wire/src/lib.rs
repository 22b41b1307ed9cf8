//! What clients and messaging nodes say to each other over the socket.
//!
//! A frame is an array `[operation, request id, body]`. In MessagePack the operation is a small
//! integer, in JSON its name; the body is a map with string keys. Unknown fields are ignored, so
//! both sides may grow. Event frames carry their number where requests carry their id.
//!
//! | module | owns |
//! |---|---|
//! | [`op`] | the tables of operations |
//! | [`client`] | bodies from client to node |
//! | [`server`] | bodies from node to client |
//! | [`codec`] | the envelope and both encodings |
//! | [`field`] | ids, bytes and chats as fields of both encodings |

pub mod client;
pub mod codec;
pub mod field;
pub mod op;
pub mod server;
