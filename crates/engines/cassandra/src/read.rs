//! The reading side: what rows say, as the port has it.
//!
//! Each read is one statement or a few; those that do not need each other's answer run at once.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, try_join};
use volery_kernel::chat::{ChatId, Recipient};
use volery_kernel::event::{Seen, SendKey};
use volery_kernel::id::{Id, UserId};
use volery_kernel::limits::RESOLVED_LATE_MOST;
use volery_kernel::position::{Offset, Source};
use volery_kernel::slot::Partition;
use volery_ports::timeline::{ChatRow, Commit, Entry, MessageRow, Sent, Span, Stored};

use crate::cell::{self, Corrupt};
use crate::layout::{days_of, signed, window_of, windows_of};
use crate::memory::Memory;
use crate::statement::{Cluster, Fault};
use crate::timeline::Aside;

/// Windows that are read at once when one does not fill a page.
const WINDOWS_AT_ONCE: usize = 4;

type Cell = Vec<u8>;
type Map = BTreeMap<Cell, Cell>;
/// Id, message, changes. A message's text stays where it came in.
type MessageColumns = (i64, Option<Bytes>, Option<Map>);
/// Chat, newest, incoming; own and peer's marks; late.
type ViewColumns =
    (Cell, Option<Cell>, Option<Cell>, Option<Cell>, Option<Cell>, Option<Cell>, Option<Cell>, Option<Map>);

pub(crate) async fn committed(cluster: &Cluster, partition: Partition) -> Result<Option<Commit>, Fault> {
    let key = (i32::from(partition.0),);
    let rows: Vec<(Cell, Cell)> = cluster.rows(&cluster.statements.commit, key).await?;
    Ok(rows.first().map(|(place, stamp)| cell::commit(place, stamp)).transpose()?)
}

pub(crate) async fn sent(cluster: &Cluster, key: SendKey) -> Result<Option<Sent>, Fault> {
    let key = (signed(key.device.get()), signed(key.session.get()), i64::from(key.number));
    let rows: Vec<(Cell, Cell)> = cluster.rows(&cluster.statements.sent, key).await?;
    Ok(rows.first().map(|(first, source)| cell::sent(first, source)).transpose()?)
}

pub(crate) async fn message(cluster: &Cluster, chat: ChatId, id: Id) -> Result<Stored, Fault> {
    let key = (chat.to_key(), window_of(id), signed(id.get()));
    let rows: Vec<MessageColumns> = cluster.rows(&cluster.statements.message, key).await?;
    Ok(rows.into_iter().next().map_or(Ok(Stored::Bare(Vec::new())), stored)?)
}

/// A page that is full where its span begins needs no more. Who asks for the newest does not know where that
/// is, and reads the newest window that is known while it asks which there are.
pub(crate) async fn messages(
    cluster: &Cluster,
    memory: &Memory,
    chat: ChatId,
    span: Span,
    limit: usize,
) -> Result<Vec<MessageRow>, Fault> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (Span::Before(edge) | Span::After(edge)) = span;
    let begins = window_of(edge);
    let guess = match span {
        Span::Before(_) => begins.min(memory.newest_window()),
        Span::After(_) => begins,
    };
    let first = within(cluster, chat, guess, span, limit);
    let (windows, guessed) = if guess == begins {
        let mut found = first.await?;
        if found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
        (windows(cluster, chat).await?, found)
    } else {
        try_join!(windows(cluster, chat), first)?
    };
    windows.iter().for_each(|window| memory.seen_window(*window));
    let windows = windows_of(span, windows);
    // A guess that was not where the span begins is read again when its turn comes.
    let right = windows.first() == Some(&guess);
    let rest = windows.into_iter().skip(usize::from(right));
    let mut found = if right { guessed } else { Vec::new() };
    let mut more =
        stream::iter(rest).map(|window| within(cluster, chat, window, span, limit)).buffered(WINDOWS_AT_ONCE);
    while found.len() < limit {
        let Some(rows) = more.try_next().await? else { break };
        found.extend(rows);
    }
    found.truncate(limit);
    Ok(found)
}

async fn windows(cluster: &Cluster, chat: ChatId) -> Result<Vec<i32>, Fault> {
    let rows: Vec<(i32,)> = cluster.rows(&cluster.statements.windows, (chat.to_key(),)).await?;
    Ok(rows.into_iter().map(|(window,)| window).collect())
}

/// At most `limit` messages of a window. Rows without a message take no place, so it may ask again.
async fn within(
    cluster: &Cluster,
    chat: ChatId,
    window: i32,
    mut span: Span,
    limit: usize,
) -> Result<Vec<MessageRow>, Fault> {
    let most = i32::try_from(limit).unwrap_or(i32::MAX);
    let mut found = Vec::new();
    loop {
        let (statement, edge) = match span {
            Span::Before(id) => (&cluster.statements.before, id),
            Span::After(id) => (&cluster.statements.after, id),
        };
        let key = (chat.to_key(), window, signed(edge.get()), most);
        let rows: Vec<MessageColumns> = cluster.rows(statement, key).await?;
        let (read, last) = (rows.len(), rows.last().map(|(id, ..)| *id));
        for row in rows {
            found.extend(stored(row)?.into_row());
        }
        match last.filter(|_| read >= limit && found.len() < limit) {
            Some(last) => span = from_there(span, id(last)?),
            None => return Ok(found),
        }
    }
}

fn from_there(span: Span, id: Id) -> Span {
    match span {
        Span::Before(_) => Span::Before(id),
        Span::After(_) => Span::After(id),
    }
}

fn id(column: i64) -> Result<Id, Corrupt> {
    cell::id(&column.to_be_bytes())
}

fn stored((column, message, changes): MessageColumns) -> Result<Stored, Corrupt> {
    let changes = changes.into_iter().flatten().map(|(key, change)| cell::change(&key, &change));
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    Ok(match message {
        Some(message) => Stored::Row(MessageRow { message: cell::message(id(column)?, message)?, changes }),
        None => Stored::Bare(changes),
    })
}

pub(crate) async fn chat(cluster: &Cluster, user: UserId, chat: ChatId) -> Result<ChatRow, Fault> {
    let key = (signed(user.get()), chat.to_key());
    let rows: Vec<ViewColumns> = cluster.rows(&cluster.statements.view, key).await?;
    Ok(rows.into_iter().next().map(view_row).transpose()?.map(|(_, row)| row).unwrap_or_default())
}

pub(crate) async fn chats(cluster: &Cluster, user: UserId) -> Result<Vec<(ChatId, ChatRow)>, Fault> {
    let rows: Vec<ViewColumns> = cluster.many_rows(&cluster.statements.views, (signed(user.get()),)).await?;
    Ok(rows.into_iter().map(view_row).collect::<Result<_, _>>()?)
}

fn view_row(columns: ViewColumns) -> Result<(ChatId, ChatRow), Corrupt> {
    let (chat, newest, incoming, delivered, read, peer_delivered, peer_read, late) = columns;
    let mark = |column: Option<Cell>| column.map_or(Ok(Seen::default()), |column| cell::seen(&column));
    let row = ChatRow {
        newest: newest.map_or(Ok(Id::ZERO), |column| cell::id(&column))?,
        newest_incoming: Source(incoming.map_or(Ok(0), |column| cell::number(&column))?),
        delivered: mark(delivered)?,
        read: mark(read)?,
        peer_delivered: mark(peer_delivered)?,
        peer_read: mark(peer_read)?,
        resolved_late: late.map_or(Ok(Vec::new()), newest_late)?,
    };
    Ok((cell::chat(&chat)?, row))
}

/// More may be stored than count; keys order as their sources do.
fn newest_late(late: Map) -> Result<Vec<Seen>, Corrupt> {
    let over = late.len().saturating_sub(RESOLVED_LATE_MOST.value);
    let newest = late.into_iter().skip(over);
    newest.map(|(source, id)| Ok(Seen { source: Source(cell::number(&source)?), id: cell::id(&id)? })).collect()
}

/// Days one after the other, until there are enough and no other day can hold a smaller offset. A row
/// that a replay put into another day comes twice and is taken once.
pub(crate) async fn index(
    cluster: &Cluster,
    (recipient, partition): (Recipient, Partition),
    (from, to): (Offset, Offset),
    limit: usize,
) -> Result<Vec<(Offset, Entry)>, Fault> {
    if limit == 0 || from >= to {
        return Ok(Vec::new());
    }
    let days = days_of(from, to, &days(cluster, partition).await?);
    let most = i32::try_from(limit).unwrap_or(i32::MAX);
    let mut found = BTreeMap::new();
    for (at, (day, _)) in days.iter().enumerate() {
        let place = (recipient.to_key(), i32::from(partition.0), *day);
        let key = (place.0, place.1, place.2, signed(from), signed(to), most);
        let rows: Vec<(i64, Cell)> = cluster.rows(&cluster.statements.index, key).await?;
        found.extend(rows.into_iter().map(|(offset, entry)| (offset.cast_unsigned(), entry)));
        let enough = found.keys().nth(limit - 1);
        if enough.is_some_and(|last| days[at + 1..].iter().all(|(_, first)| first > last)) {
            break;
        }
    }
    let entries = found.into_iter().take(limit);
    Ok(entries.map(|(offset, entry)| Ok((offset, cell::entry(&entry)?))).collect::<Result<_, Corrupt>>()?)
}

async fn days(cluster: &Cluster, partition: Partition) -> Result<Vec<(i32, Offset)>, Fault> {
    let key = (i32::from(partition.0),);
    let rows: Vec<(i32, i64)> = cluster.rows(&cluster.statements.days, key).await?;
    Ok(rows.into_iter().map(|(day, first)| (day, first.cast_unsigned())).collect())
}

/// Days that have expired promise nothing. When all have, nothing was written since: it is complete
/// from the end.
pub(crate) async fn index_start(cluster: &Cluster, partition: Partition) -> Result<Option<Offset>, Fault> {
    let (days, commit) = try_join!(days(cluster, partition), committed(cluster, partition))?;
    let end = commit.map(|commit| commit.source.place() + 1);
    Ok(days.into_iter().map(|(_, first)| first).min().or(end))
}

pub(crate) async fn asides(cluster: &Cluster, partition: Partition, limit: usize) -> Result<Vec<Aside>, Fault> {
    let key = (i32::from(partition.0), i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
    let rows: Vec<(i64, String, Bytes)> = cluster.rows(&cluster.statements.asides, key).await?;
    let aside = |(offset, reason, bytes): (i64, String, Bytes)| Aside { offset: offset.cast_unsigned(), reason, bytes };
    Ok(rows.into_iter().map(aside).collect())
}
