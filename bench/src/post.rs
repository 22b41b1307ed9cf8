//! Many messages to people who need not be there: from one session each, as fast as they are
//! acknowledged.

use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::link::Link;
use volery_kernel::id::UserId;
use volery_wire::server::Reply;

/// Unacknowledged sends of a session; the node allows 64.
const OPEN_MOST: usize = 32;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `count` messages of `bytes` to each of `to`, in rounds over all of them.
///
/// # Errors
/// The connection is gone, or acknowledgements stay away for a minute.
pub(crate) async fn post(link: &mut Link, to: &[UserId], count: usize, bytes: usize) -> Result<(), Failure> {
    let text = ".".repeat(bytes);
    let mut next = (0..count).flat_map(|_| to);
    let (mut open, mut left) = (0, count * to.len());
    while left > 0 {
        for user in next.by_ref().take(OPEN_MOST - open) {
            link.send(*user, &text);
            open += 1;
        }
        let mut acked = 0;
        let mut see = |reply: &Reply<'_>| acked += usize::from(matches!(reply, Reply::Ack(_)));
        let turned = tokio::time::timeout(PATIENCE, link.turn(&mut see)).await;
        turned.map_err(|_| Failure("sends are not acknowledged".to_owned()))??;
        open -= acked;
        left -= acked;
    }
    Ok(())
}
