//! `page_p99_over_bare_cql`: a page of 50 out of Cassandra over the socket against one prepared read of the
//! same rows of the same table and a bare round trip. Both arms read the same pages in turn, as
//! [`crate::page`] does.
//!
//! The bare arm is told in which window of the chat its rows stand; the server has to find out.

use std::ffi::OsStr;

use loadtest::failure::Failure;
use loadtest::load::Drive;
use volery_kernel::chat::ChatId;

use crate::bench::{Bench, Taken};
use crate::engines::{CASSANDRA, Engines};
use crate::page::Compared;
use crate::places::{Place, fill};
use crate::program::Program;

/// The figure.
pub(crate) const NAME: &str = "page_p99_over_bare_cql";
/// Bits of an id below its window.
const WINDOW_BITS: u32 = 53;

pub(crate) async fn run(bench: &Bench) -> Result<Taken, Failure> {
    let engines = Engines::start(bench, CASSANDRA, 1)?;
    let place = engines.place();
    let server = engines.server(bench, 2 * bench.sizes.pairs, &place)?;
    // The embedded log takes more than Cassandra: a flood would never be archived.
    let places = fill(bench, &server, bench.sizes.cql_pages, Drive::Rate(bench.sizes.rate)).await?;
    let arguments = [engines.nodes(), &place.keyspace].map(OsStr::new);
    let bare = Program::start(&bench.programs.bare_page_cql, &arguments)?;
    let (names, pages) = ([NAME, "page_cql"], bench.sizes.cql_pages);
    Compared { names, pages, server: &server, bare: &bare, question }.take(bench, places).await
}

/// Chat, window, and the id before which the page is, big-endian.
fn question(chat: ChatId, Place { before, newest, .. }: Place) -> Vec<u8> {
    let window = (newest.get() >> WINDOW_BITS) as i32;
    [&chat.to_key()[..], &window.to_be_bytes(), &before.get().to_be_bytes()].concat()
}
