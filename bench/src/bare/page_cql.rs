//! The bare arm of `page_p99_over_bare_cql`: the same rows out of the same table, over a socket.
//!
//! `bare-page-cql NODES KEYSPACE`. A request is chat, window and the id before which the page is; the answer is
//! its 50 rows as Cassandra gives them, in one frame. No rights, no decoding, no second statement: what a page
//! costs at least.
//!
//! As fast as it can be: one thread for sockets and Cassandra, so nothing is handed over.

use std::error::Error;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::ColumnIterator;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;
use volery_door::frame::Kind;
use volery_door::listener::accept;
use volery_door::socket::{Heard, Limits, Socket};

const ROWS: i32 = 50;
/// Bytes of a chat, of a window, of an id.
const CHAT: usize = 17;
const WINDOW: usize = 4;
const ID: usize = 8;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Where the rows are.
struct Table {
    session: Session,
    before: PreparedStatement,
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nodes, keyspace] = arguments.as_slice() else { return Err("bare-page-cql NODES KEYSPACE".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(nodes, keyspace))
}

async fn serve(nodes: &str, keyspace: &str) -> Outcome {
    let profile = ExecutionProfile::builder().consistency(Consistency::Quorum).build();
    let session = SessionBuilder::new().known_nodes(nodes.split(',')).keyspaces_to_fetch([keyspace]);
    let session = session.default_execution_profile_handle(profile.into_handle()).build().await?;
    let text = format!(
        "SELECT id, message, changes FROM {keyspace}.messages WHERE chat = ? AND window = ? AND id < ? \
         ORDER BY id DESC LIMIT ?"
    );
    let table = Rc::new(Table { before: session.prepare(text).await?, session });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ready ws://{}/v1/ws", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let table = Rc::clone(&table);
        // A peer that is gone ends its task.
        spawn_local(async move { converse(stream, &table).await.map_err(|error| error.to_string()) });
    }
}

async fn converse(stream: TcpStream, table: &Table) -> Outcome {
    let (mut socket, _) = accept(stream, Limits::default(), Instant::now() + Duration::from_secs(10)).await?;
    loop {
        let request = hear(&mut socket).await?;
        socket.write(Kind::Binary, &[&table.page(&request).await?])?;
    }
}

/// The next request; nothing follows it before it is answered.
async fn hear(socket: &mut Socket) -> Outcome<Vec<u8>> {
    poll_fn(|cx| {
        let mut request = None;
        let read = socket.poll_read(cx, &mut |heard, _| match heard {
            Heard::Message(message) => {
                request = Some(message.data.into_owned());
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        match (request, read) {
            (Some(request), _) => Poll::Ready(Ok(request)),
            (None, Poll::Ready(Err(gone))) => Poll::Ready(Err(gone.into())),
            (None, _) => Poll::Pending,
        }
    })
    .await
}

impl Table {
    /// All columns of the rows, each after its length.
    async fn page(&self, request: &[u8]) -> Outcome<Vec<u8>> {
        let (chat, rest) = request.split_at_checked(CHAT).ok_or("a request is longer")?;
        let (window, id) = rest.split_first_chunk::<WINDOW>().ok_or("a request has a window")?;
        let id = id.first_chunk::<ID>().ok_or("a request has an id")?;
        let key = (chat, i32::from_be_bytes(*window), i64::from_be_bytes(*id), ROWS);
        let rows = self.session.execute_unpaged(&self.before, key).await?.into_rows_result()?;
        let mut output = Vec::with_capacity(rows.rows_bytes_size());
        for row in rows.rows::<ColumnIterator<'_, '_>>()? {
            for column in row? {
                let bytes = column?.slice.map_or(&[][..], |slice| slice.as_slice());
                output.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                output.extend_from_slice(bytes);
            }
        }
        Ok(output)
    }
}
